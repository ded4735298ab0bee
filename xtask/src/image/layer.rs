//! A layer: a compressed tree, with the digests before and after compression.

use std::io::{self, Write};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use super::tree::Tree;

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) name: String,
    /// The digest of the tar before compression.
    pub(super) contents: String,
    pub(super) blob: Vec<u8>,
}

impl Layer {
    pub(super) fn new(name: &str, tree: &Tree, time: u64) -> Result<Self> {
        // without a name and a time in its header
        let gzip = GzBuilder::new().write(Vec::new(), Compression::default());
        let written = tree.tar(Hashing { to: gzip, hash: Sha256::new() }, time)?;
        let blob = written.to.finish().context("compressing a layer")?;
        Ok(Self { name: name.to_owned(), contents: hex(&written.hash.finalize()), blob })
    }
}

/// The digest as images write it, without the algorithm before it.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hashing<W> {
    to: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_layer_has_the_digest_of_its_uncompressed_tar() {
        let mut tree = Tree::default();
        tree.text("etc/passwd", "root:x:0:0");
        let layer = Layer::new("system", &tree, 0).unwrap();
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&layer.blob[..]).read_to_end(&mut tar).unwrap();
        assert_eq!(layer.contents, digest(&tar));
        assert_eq!(tar, tree.tar(Vec::new(), 0).unwrap());
    }

    #[test]
    fn digests_are_sha256_in_hexadecimal() {
        assert_eq!(digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
