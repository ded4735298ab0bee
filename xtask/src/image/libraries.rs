//! The shared libraries that programs need, and those that these need, as the system's loader finds them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::command::answer;

/// Their paths, the loader's among them. Names are looked up by libc itself (since glibc 2.34), without further
/// libraries that no header would name.
pub(super) fn of<'a>(programs: impl Iterator<Item = &'a Path>) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for program in programs {
        let name = program.to_str().context("a path that is not UTF-8")?;
        let listed = answer(Path::new("ldd"), &[name]).with_context(|| format!("ldd cannot read {name}"))?;
        found.extend(paths(&listed).with_context(|| format!("the libraries of {name}"))?);
    }
    Ok(found)
}

/// The paths in what `ldd` printed: `libc.so.6 => /lib/libc.so.6 (0x7f)`, `/lib64/ld-linux.so.2 (0x7f)`, or only
/// a name for the kernel's vDSO.
fn paths(listed: &str) -> Result<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    for line in listed.lines().map(str::trim) {
        if line.ends_with("not found") {
            bail!("{line}");
        }
        let place = line.split_once("=> ").map_or(line, |(_, place)| place);
        let path = place.rsplit_once(" (").map_or(place, |(path, _)| path);
        if path.starts_with('/') {
            paths.insert(PathBuf::from(path));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\tlinux-vdso.so.1 (0x00007f9d29f98000)
\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f9d29f67000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f9d2901e000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f9d29f9a000)";

    #[test]
    fn libraries_and_the_loader_are_listed_but_not_what_the_kernel_brings() {
        let expected = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib/x86_64-linux-gnu/libgcc_s.so.1",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(paths(LISTED).unwrap(), expected.map(PathBuf::from).into());
        assert_eq!(paths("\tstatically linked").unwrap(), BTreeSet::new());
    }

    #[test]
    fn a_library_that_is_not_there_is_a_fault() {
        let fault = paths("\tlibz.so.1 => not found").unwrap_err();
        assert_eq!(fault.to_string(), "libz.so.1 => not found");
    }

    #[test]
    fn this_very_test_needs_libc_and_a_loader() {
        let own = std::env::current_exe().unwrap();
        let found = of([own.as_path()].into_iter()).unwrap();
        let has = |beginning: &str| {
            found.iter().any(|path| path.file_name().unwrap().to_string_lossy().starts_with(beginning))
        };
        assert!(has("libc.so") && has("ld-"), "{found:?}");
    }
}
