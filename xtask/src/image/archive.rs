//! The archive: an OCI layout in a tar, with the manifest of `docker load`.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    layer::{Layer, digest},
    properties::{ENTRYPOINT, LABELS, PATH, PORTS, USER},
    tree::Tree,
};

#[derive(Debug)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) tag: String,
    /// The commit.
    pub(super) revision: Option<String>,
    /// Seconds since 1970.
    pub(super) made: u64,
    /// The lowest first.
    pub(super) layers: Vec<Layer>,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

impl Image {
    /// The archive's bytes, and the digest of the image's manifest.
    pub(super) fn archive(&self) -> Result<(Vec<u8>, String)> {
        let mut tree = Tree::default();
        let mut blob = |kind: &str, bytes: Vec<u8>| {
            let digest = digest(&bytes);
            let described = json!({
                "mediaType": kind,
                "digest": format!("sha256:{digest}"),
                "size": bytes.len(),
            });
            tree.text(&path(&digest), bytes);
            (described, digest)
        };
        let (config, config_digest) = blob(CONFIG, self.config()?.to_string().into());
        let (layers, layer_digests): (Vec<_>, Vec<_>) =
            self.layers.iter().map(|layer| blob(LAYER, layer.blob.clone())).unzip();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let (mut described, digest) = blob(MANIFEST, manifest.to_string().into());
        described["platform"] = json!({"architecture": architecture(), "os": "linux"});
        described["annotations"] = json!({
            // the name that containerd reads, and the one of the layout's specification
            "io.containerd.image.name": self.reference(),
            "org.opencontainers.image.ref.name": self.tag,
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [described],
        });
        let for_docker = json!([{
            "Config": path(&config_digest),
            "RepoTags": [self.reference()],
            "Layers": layer_digests.iter().map(|digest| path(digest)).collect::<Vec<_>>(),
        }]);
        tree.text("oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string());
        tree.text("index.json", index.to_string());
        tree.text("manifest.json", for_docker.to_string());
        Ok((tree.tar(Vec::new(), self.made)?, digest))
    }

    fn reference(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    fn config(&self) -> Result<Value> {
        let created = iso(self.made)?;
        let ports: Map<_, _> = PORTS.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
        let contents = self.layers.iter().map(|layer| format!("sha256:{}", layer.contents));
        let history = self.layers.iter().map(
            |layer| json!({"created": created, "created_by": format!("cargo xtask image # {}", layer.name)}),
        );
        Ok(json!({
            "created": created,
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "User": USER,
                "ExposedPorts": ports,
                "Env": self.environment(),
                "Entrypoint": [ENTRYPOINT],
                "WorkingDir": "/",
                "Labels": self.labels(),
            },
            "rootfs": {"type": "layers", "diff_ids": contents.collect::<Vec<_>>()},
            "history": history.collect::<Vec<_>>(),
        }))
    }

    /// The programs show the revision in their metrics and at `/version`.
    fn environment(&self) -> Vec<String> {
        let revision = self.revision.as_deref().unwrap_or("unknown");
        vec![format!("PATH={PATH}"), format!("ROWCAST_COMMIT={revision}")]
    }

    fn labels(&self) -> Map<String, Value> {
        let own = [("version", env!("CARGO_PKG_VERSION"))];
        let revision = self.revision.as_deref().map(|revision| ("revision", revision));
        let all = LABELS.into_iter().chain(own).chain(revision);
        all.map(|(name, text)| (format!("org.opencontainers.image.{name}"), json!(text))).collect()
    }
}

fn path(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

/// This machine's architecture, by its name in Go.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn iso(seconds: u64) -> Result<String> {
    let seconds = i64::try_from(seconds).context("the time is out of range")?;
    Ok(OffsetDateTime::from_unix_timestamp(seconds)?.format(&Rfc3339)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn image() -> Image {
        let layer = |name: &str| {
            let mut tree = Tree::default();
            tree.text(&format!("etc/{name}"), name);
            Layer::new(name, &tree, 0).unwrap()
        };
        Image {
            name: "localhost/rowcast".to_owned(),
            tag: "dev".to_owned(),
            revision: Some("abc".to_owned()),
            made: 0,
            layers: vec![layer("system"), layer("page")],
        }
    }

    fn json_in(archive: &[u8], path: &str) -> Value {
        let mut tar = tar::Archive::new(archive);
        let found = tar
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .find(|entry| entry.path().unwrap().as_os_str() == path);
        let mut text = String::new();
        found.unwrap_or_else(|| panic!("no {path}")).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn blob_path(described: &Value) -> String {
        path(described["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap())
    }

    #[test]
    fn packed_twice_it_is_the_same_bytes() {
        assert_eq!(image().archive().unwrap(), image().archive().unwrap());
    }

    #[test]
    fn the_index_names_the_image_for_containerd_and_by_the_specification() {
        let (archive, digest) = image().archive().unwrap();
        let index = json_in(&archive, "index.json");
        let named = &index["manifests"][0];
        assert_eq!(named["annotations"]["io.containerd.image.name"], "localhost/rowcast:dev");
        assert_eq!(named["annotations"]["org.opencontainers.image.ref.name"], "dev");
        assert_eq!(named["digest"], format!("sha256:{digest}"));
        assert_eq!(json_in(&archive, "manifest.json")[0]["RepoTags"], json!(["localhost/rowcast:dev"]));
        assert_eq!(json_in(&archive, "oci-layout")["imageLayoutVersion"], "1.0.0");
    }

    #[test]
    fn every_blob_is_where_its_digest_says() {
        let (archive, _) = image().archive().unwrap();
        let mut tar = tar::Archive::new(&archive[..]);
        let mut blobs = 0;
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            if let Some(named) = name.strip_prefix("blobs/sha256/").filter(|named| !named.is_empty()) {
                assert_eq!(named, digest(&bytes));
                blobs += 1;
            }
        }
        assert_eq!(blobs, 4);
    }

    #[test]
    fn the_configuration_has_a_user_who_is_not_root_and_the_layers_in_order() {
        let image = image();
        let (archive, _) = image.archive().unwrap();
        let manifest = json_in(&archive, &blob_path(&json_in(&archive, "index.json")["manifests"][0]));
        let config = json_in(&archive, &blob_path(&manifest["config"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.revision"], "abc");
        assert_eq!(config["config"]["Env"][1], "ROWCAST_COMMIT=abc");
        assert_eq!(config["config"]["ExposedPorts"], json!({"8080/tcp": {}, "9090/tcp": {}}));
        assert_eq!(config["created"], "1970-01-01T00:00:00Z");
        let contents: Vec<_> =
            image.layers.iter().map(|layer| format!("sha256:{}", layer.contents)).collect();
        assert_eq!(config["rootfs"]["diff_ids"], json!(contents));
        let blobs: Vec<_> = image.layers.iter().map(|layer| path(&digest(&layer.blob))).collect();
        let named: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(blob_path).collect();
        assert_eq!(named, blobs);
    }
}
