//! The Tiltfile, checked without Tilt.

use std::{collections::BTreeSet, path::Path};

use crate::render::run;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap()
}

/// The numbers after each occurrence of a mark.
fn numbers(text: &str, mark: &str) -> Vec<u16> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split(mark).skip(1).filter_map(|rest| digits(rest).parse().ok()).collect()
}

/// Runs lines that mean the same in Starlark and Python.
fn python(lines: &[&str]) -> String {
    run("python3", &["-c".to_owned(), lines.join("\n")], "").unwrap()
}

#[test]
fn forwarded_ports_are_not_those_of_dev() {
    let (tilt, dev) = (read("Tiltfile"), read("xtask/src/ports.rs"));
    let calls: String = tilt.split("=ports(").skip(1).filter_map(|call| call.split("))").next()).collect();
    let forwarded = numbers(&calls, "(");
    assert_eq!(forwarded.len(), 10, "{forwarded:?}");
    assert_eq!(forwarded.iter().collect::<BTreeSet<_>>().len(), 10, "{forwarded:?}");
    let defaults = numbers(&dev, "default_value_t = ");
    let [gateway, ingest, admin, 1] = defaults[..] else { panic!("{defaults:?}") };
    let most = numbers(&dev, "(u16).range(1..=").pop().unwrap();
    let further = numbers(&dev, "FURTHER: u16 = ")[0];
    let mut taken: BTreeSet<u16> = (admin..admin + 2 + most).collect();
    taken.extend([gateway, ingest]);
    taken.extend(numbers(&read("xtask/src/dev.rs"), "default_value_t = "));
    taken.extend(gateway + further..gateway + further + most - 1);
    let both: Vec<_> = forwarded.iter().filter(|port| taken.contains(port)).collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn an_image_s_name_keeps_its_registry_s_port() {
    let tilt = read("Tiltfile");
    let line = tilt.lines().find(|line| line.contains("EXPECTED_REF")).unwrap();
    let command = python(&["pack = ''", &format!("print({})", line.trim().trim_end_matches(','))]);
    for (image, name, tag) in [
        ("localhost:5000/rowcast:tag", "localhost:5000/rowcast", "tag"),
        ("localhost/rowcast:tilt-1f", "localhost/rowcast", "tilt-1f"),
    ] {
        let script = format!("EXPECTED_REF={image}\ncargo() {{ printf '[%s]' \"$@\"; }}\n{command}");
        let printed = run("sh", &["-c".to_owned(), script], "").unwrap();
        assert!(printed.contains(&format!("[--name][{name}][--tag][{tag}]")), "{printed}");
    }
}

#[test]
fn the_loader_s_cluster_is_that_of_the_context() {
    let tilt = read("Tiltfile");
    let line = tilt.lines().find(|line| line.starts_with("loader = ")).unwrap();
    for (context, cluster) in [("kind-dev", "dev"), ("kind-kind", "kind"), ("dev", "dev")] {
        let context = format!("k8s_context = lambda: '{context}'");
        let printed = python(&["cfg = {}", &context, line, "print(loader)"]);
        assert_eq!(printed.trim(), format!("kind load image-archive --name {cluster}"));
    }
    let own = python(&["cfg = {'load': 'mine'}", "k8s_context = lambda: 'x'", line, "print(loader)"]);
    assert_eq!(own.trim(), "mine");
}
