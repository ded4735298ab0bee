//! `services/Dockerfile` makes the image that `cargo xtask image` makes.

use std::{fs, path::Path};

use super::finding::Finding;
use crate::image::properties::{ENTRYPOINT, LABELS, PATH, PORTS, USER, layers};

const FILE: &str = "services/Dockerfile";

/// What its last stage lacks, or has in addition.
pub(super) fn check(root: &Path) -> Vec<Finding> {
    let text = fs::read_to_string(root.join(FILE)).unwrap_or_default();
    let toolchain = fs::read_to_string(root.join("rust-toolchain.toml")).unwrap_or_default();
    let mut faults = compare(&text);
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'));
    let base = format!("FROM rust:{}-bookworm AS build", channel.unwrap_or_default());
    if !text.lines().any(|line| line == base) {
        faults.push(format!("no `{base}`, the version of rust-toolchain.toml"));
    }
    faults.into_iter().map(|what| Finding::new(FILE, what)).collect()
}

fn compare(text: &str) -> Vec<String> {
    let expected = expected();
    let found = last_stage(text);
    let missing = expected.iter().filter(|line| !found.contains(line));
    let unknown = found.iter().filter(|line| !expected.contains(line));
    missing
        .map(|line| format!("no `{line}`, as in `cargo xtask image`"))
        .chain(unknown.map(|line| format!("`{line}` is not in `cargo xtask image`")))
        .collect()
}

/// The instructions of the last stage, each on one line.
fn last_stage(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut stage = Vec::new();
    for line in words {
        if line.starts_with("FROM ") {
            stage.clear();
        }
        stage.push(line);
    }
    stage
}

fn expected() -> Vec<String> {
    let version = [("version", env!("CARGO_PKG_VERSION")), ("revision", "$REVISION")];
    let labels = LABELS.into_iter().chain(version);
    let labels: Vec<_> =
        labels.map(|(name, text)| format!("org.opencontainers.image.{name}=\"{text}\"")).collect();
    let ports: Vec<_> = PORTS.iter().map(u16::to_string).collect();
    let mut lines = vec![
        "FROM scratch".to_owned(),
        "ARG REVISION=unknown".to_owned(),
        format!("LABEL {}", labels.join(" ")),
        format!("ENV PATH={PATH} ROWCAST_COMMIT=$REVISION"),
        format!("USER {USER}"),
        format!("EXPOSE {}", ports.join(" ")),
        "WORKDIR /".to_owned(),
        format!("ENTRYPOINT [\"{ENTRYPOINT}\"]"),
    ];
    lines.extend(layers().map(|layer| format!("COPY --from=build /out/{layer}/ /")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    fn dockerfile() -> String {
        fs::read_to_string(Workspace::here().root().join(FILE)).unwrap()
    }

    #[test]
    fn the_dockerfile_is_the_image() {
        assert_eq!(compare(&dockerfile()), Vec::<String>::new());
    }

    #[test]
    fn another_user_a_shell_and_a_forgotten_layer_are_found() {
        for (from, to, faults) in [
            ("USER 65532:65532", "USER 0", 2),
            ("EXPOSE", "COPY --from=build /bin/sh /bin/sh\nEXPOSE", 1),
            ("COPY --from=build /out/migrate/ /\n", "", 1),
            ("description=\"Carries", "description=\"Moves", 2),
        ] {
            let found = compare(&dockerfile().replace(from, to));
            assert_eq!(found.len(), faults, "{to}: {found:?}");
        }
    }
}
