//! The bundle: a playbook tree and its resolved inventory, named by the digest of its content.
//!
//! The digest covers every path, mode and byte, so an agent that holds the digest knows what it runs
//! (S7). Reading files from a disk and writing them there is left to the rooms that may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// A set of files by relative path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    files: BTreeMap<String, BundleFile>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFile {
    /// Whether the owner may execute it.
    pub executable: bool,
    /// The bytes.
    #[serde(with = "base64_bytes")]
    pub content: Vec<u8>,
}

/// Why a file or a transported bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The path could leave the bundle's folder.
    #[error("path {0:?} is absolute, empty, or leaves its folder")]
    Path(String),
    /// The bytes are no bundle.
    #[error("the transported bytes are no bundle")]
    Malformed(#[source] serde_json::Error),
    /// The bytes are another bundle than the digest names.
    #[error("bundle {expected} was announced, {found} arrived")]
    Digest {
        /// What was announced.
        expected: Digest,
        /// What arrived.
        found: Digest,
    },
}

impl Bundle {
    /// A file of this name says that daemons which the run starts on the agent's own machine outlive a run
    /// that completed: the catalogue's word for an entry whose very purpose they are. In the bundle, so that it is
    /// under the digest.
    pub const KEEPS_DAEMONS: &str = "chiffon/keeps_daemons";

    /// A file of this name holds the path of the playbook, where that is not `playbooks/<entry>.yml`.
    pub const PLAYBOOK: &str = "chiffon/playbook";

    /// A file of this name holds folders of the bundle in which roles lie beside the usual ones, one a line.
    pub const ROLES_PATH: &str = "chiffon/roles_path";

    /// Adds a file; a later one of the same path replaces the earlier.
    pub fn insert(&mut self, path: &str, file: BundleFile) -> Result<(), BundleError> {
        if !is_inside(path) {
            return Err(BundleError::Path(path.to_owned()));
        }
        self.files.insert(path.to_owned(), file);
        Ok(())
    }

    /// Path and file, in the order of the paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &BundleFile)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// One file.
    pub fn file(&self, path: &str) -> Option<&BundleFile> {
        self.files.get(path)
    }

    /// The digest over every path, mode and byte.
    pub fn digest(&self) -> Digest {
        let mut parts: Vec<&[u8]> = vec![b"chiffon bundle v1"];
        for (path, file) in &self.files {
            parts.push(path.as_bytes());
            parts.push(if file.executable { b"x" } else { b"-" });
            parts.push(&file.content);
        }
        Digest::of_parts(parts)
    }

    /// The bytes that travel.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        serde_json::to_vec(self).map_err(BundleError::Malformed)
    }

    /// Reads what travelled and holds it against the digest that was announced.
    pub fn from_bytes(bytes: &[u8], expected: Digest) -> Result<Self, BundleError> {
        let bundle: Self = serde_json::from_slice(bytes).map_err(BundleError::Malformed)?;
        if let Some(path) = bundle.files.keys().find(|path| !is_inside(path)) {
            return Err(BundleError::Path(path.clone()));
        }
        let found = bundle.digest();
        if found == expected {
            Ok(bundle)
        } else {
            Err(BundleError::Digest { expected, found })
        }
    }
}

fn is_inside(path: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    !path.contains(['\\', '\0']) && path.split('/').all(is_plain)
}

mod base64_bytes {
    //! File contents as base64 text within JSON.

    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> BundleFile {
        BundleFile {
            executable: false,
            content: content.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_path_never_leaves_the_folder() {
        for bad in ["/etc/passwd", "../x", "a/../b", "", "a//b", "a/./b", "a\\b"] {
            assert!(Bundle::default().insert(bad, file("")).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_byte_mode_and_path_is_under_the_digest() {
        let digest = |path: &str, executable, content: &str| {
            let mut bundle = Bundle::default();
            bundle
                .insert(
                    path,
                    BundleFile {
                        executable,
                        ..file(content)
                    },
                )
                .unwrap();
            bundle.digest()
        };
        let base = digest("a.yml", false, "x");
        assert_ne!(base, digest("b.yml", false, "x"));
        assert_ne!(base, digest("a.yml", true, "x"));
        assert_ne!(base, digest("a.yml", false, "y"));
    }

    #[test]
    fn transport_refuses_another_bundle_and_a_path_outside() {
        let mut bundle = Bundle::default();
        bundle.insert("site.yml", file("- hosts: all")).unwrap();
        let bytes = bundle.to_bytes().unwrap();
        assert_eq!(Bundle::from_bytes(&bytes, bundle.digest()).unwrap(), bundle);
        let other = Digest::of_bytes(b"other");
        assert!(matches!(
            Bundle::from_bytes(&bytes, other),
            Err(BundleError::Digest { .. })
        ));
        let evil = String::from_utf8(bytes)
            .unwrap()
            .replace("site.yml", "../site");
        assert!(matches!(
            Bundle::from_bytes(evil.as_bytes(), other),
            Err(BundleError::Path(_))
        ));
    }
}
