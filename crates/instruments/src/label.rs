//! The values of a label, as a type: a closed set that no client can extend.

/// A value of a label. [`labels!`](crate::labels) declares most of them.
pub trait Label: Copy + 'static {
    /// All of them, in the order of their indices.
    fn all() -> impl Iterator<Item = Self>;

    /// Its text.
    fn label(self) -> &'static str;

    /// Its place in [`all`](Self::all).
    fn index(self) -> usize;
}
