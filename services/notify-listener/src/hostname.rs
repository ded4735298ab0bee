//! The name of this host.

/// The name of this host; in a cluster, of this pod.
pub(crate) fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "listener".to_owned(), |n| n.trim().to_owned())
}
