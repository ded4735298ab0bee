//! The bill of materials, in CycloneDX 1.6: the same for the same image.

use serde_json::{Value, json};

use super::{archive::architecture, package::Package};

/// Something in the image that has a name and a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Component {
    kind: &'static str,
    pub(super) name: String,
    version: String,
    /// Where it is from, if it is not ours.
    purl: Option<String>,
    licence: Option<String>,
}

impl Component {
    /// A crate from the registry.
    pub(super) fn cargo(name: &str, version: &str, licence: Option<&str>) -> Self {
        // the older form of license expressions
        let licence = licence.map(|licence| licence.replace('/', " OR "));
        Self::library(name, version, licence, format!("pkg:cargo/{name}@{}", escape(version)))
    }

    /// A package of the page.
    pub(super) fn npm(name: &str, version: &str, licence: Option<&str>) -> Self {
        let purl = format!("pkg:npm/{}@{}", escape(name), escape(version));
        Self::library(name, version, licence.map(str::to_owned), purl)
    }

    pub(super) fn debian(package: &Package) -> Self {
        let Package { name, version, architecture, .. } = package;
        let purl = format!("pkg:deb/debian/{}@{}?arch={architecture}", escape(name), escape(version));
        Self::library(name, version, None, purl)
    }

    /// One of the workspace's packages.
    pub(super) fn own(name: &str, version: &str, program: bool) -> Self {
        let kind = if program { "application" } else { "library" };
        let licence = Some("Apache-2.0".to_owned());
        Self { kind, name: name.to_owned(), version: version.to_owned(), purl: None, licence }
    }

    fn library(name: &str, version: &str, licence: Option<String>, purl: String) -> Self {
        Self {
            kind: "library",
            name: name.to_owned(),
            version: version.to_owned(),
            purl: Some(purl),
            licence,
        }
    }

    fn json(&self) -> Value {
        let own = || format!("rowcast:{}@{}", self.name, self.version);
        let mut component = json!({
            "type": self.kind,
            "bom-ref": self.purl.clone().unwrap_or_else(own),
            "name": self.name,
            "version": self.version,
        });
        if let Some(purl) = &self.purl {
            component["purl"] = json!(purl);
        }
        if let Some(licence) = &self.licence {
            component["licenses"] = json!([{"expression": licence}]);
        }
        component
    }
}

/// The bill of the image with this digest.
pub(super) fn bill(name: &str, tag: &str, digest: &str, mut components: Vec<Component>) -> String {
    components.sort();
    components.dedup();
    let components: Vec<Value> = components.iter().map(Component::json).collect();
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(digest),
        "version": 1,
        "metadata": {"component": {
            "type": "container",
            "bom-ref": format!("{name}:{tag}"),
            "name": name,
            "version": tag,
            "hashes": [{"alg": "SHA-256", "content": digest}],
            "properties": [{"name": "rowcast:architecture", "value": architecture()}],
        }},
        "components": components,
    });
    format!("{bill:#}\n")
}

/// A custom UUID (version 8) from the beginning of the digest.
fn serial(digest: &str) -> String {
    let part = |from: usize, to: usize| &digest[from..to];
    let [a, b, c, d, e] = [part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32)];
    format!("urn:uuid:{a}-{b}-8{c}-a{d}-{e}")
}

/// Escapes characters with a meaning in package URLs.
fn escape(text: &str) -> String {
    text.replace('@', "%40").replace('+', "%2B").replace(':', "%3A")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_bill_is_the_same_in_whatever_order_its_components_were_found() {
        let [a, b] = ["a", "b"].map(|name| Component::cargo(name, "1.0.0", Some("MIT/Apache-2.0")));
        let made = |components: &[&Component]| {
            bill("localhost/rowcast", "dev", DIGEST, components.iter().copied().cloned().collect())
        };
        assert_eq!(made(&[&a, &b]), made(&[&b, &a, &b]));
        assert!(made(&[&a]).contains("\"serialNumber\": \"urn:uuid:01234567-89ab-8def-a123-456789abcdef\""));
        assert!(made(&[&a]).contains("MIT OR Apache-2.0"));
    }

    #[test]
    fn package_urls_are_escaped() {
        let npm = Component::npm("@a/b", "1.0.0", None);
        assert_eq!(npm.purl.unwrap(), "pkg:npm/%40a/b@1.0.0");
        let package = Package {
            name: "libc6".to_owned(),
            version: "1:2.36-9+deb12u14".to_owned(),
            architecture: "amd64".to_owned(),
            status: String::new(),
        };
        let debian = Component::debian(&package);
        assert_eq!(debian.purl.unwrap(), "pkg:deb/debian/libc6@1%3A2.36-9%2Bdeb12u14?arch=amd64");
    }
}
