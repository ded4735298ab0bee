//! The memory limit of the process's cgroup.

use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's word for no limit in version 1 is the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;

/// In bytes; `None` where there is no limit, or none that can be read.
pub(crate) fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_of(&groups, Path::new("/sys/fs/cgroup"))
}

/// The smallest limit of the group and those around it. `groups` has lines such as `0::/path` (version 2) and `4:memory:/path`
/// (version 1); inside a container the path may be one of the host's, and the limit is at the mount's root.
fn limit_of(groups: &str, mount: &Path) -> Option<u64> {
    let found = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (root, file) = match controllers {
            "" => (mount.to_owned(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let below = PathBuf::from(path.trim_start_matches('/'));
        below.ancestors().filter_map(|group| read(&root.join(group).join(file))).min()
    });
    found.min()
}

fn read(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(groups: &str, files: &[(&str, &str)], expected: Option<u64>) {
        let mount = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(limit_of(groups, mount.path()), expected, "{groups} {files:?}");
    }

    #[test]
    fn the_smallest_limit_around_the_process_counts_in_both_versions() {
        check("0::/\n", &[("memory.max", "104857600\n")], Some(100 << 20));
        check("0::/a/b\n", &[("a/memory.max", "1000\n"), ("a/b/memory.max", "max\n")], Some(1_000));
        check("0::/a\n", &[("a/memory.max", "max\n")], None);
        let (v1, none) = ("4:cpu,memory:/docker/x\n0::/\n", "9223372036854771712\n");
        check(v1, &[("memory/docker/x/memory.limit_in_bytes", "2000\n")], Some(2_000));
        check(v1, &[("memory/memory.limit_in_bytes", "3000\n")], Some(3_000));
        check(v1, &[("memory/memory.limit_in_bytes", none)], None);
        check("3:pids:/a\n", &[], None);
    }
}
