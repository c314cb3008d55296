//! The chroot: a prefix that the client adds to every path it sends and takes off what comes back.
//!
//! The server knows nothing of it. Invariant: empty, or a valid path other than `/`.

use wire::PathError;

/// A prefix of all paths of a client; the default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chroot(String);

impl Chroot {
    /// The prefix `path`; `/` and the empty text are none.
    ///
    /// # Errors
    /// If it is no valid path.
    pub fn new(path: &str) -> Result<Chroot, PathError> {
        if path.is_empty() || path == "/" {
            return Ok(Chroot::default());
        }
        wire::validate_path(path)?;
        Ok(Chroot(path.to_owned()))
    }

    /// The prefix; empty for none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The server's name of the client's `path`.
    #[must_use]
    pub fn add(&self, path: &str) -> String {
        if self.0.is_empty() {
            path.to_owned()
        } else if path == "/" {
            self.0.clone()
        } else {
            format!("{}{path}", self.0)
        }
    }

    /// The client's name of the server's `path`. What lies outside of the prefix (the ensemble's
    /// configuration) keeps its name.
    #[must_use]
    pub fn strip<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.0.as_str()) {
            Some("") if !self.0.is_empty() => "/",
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) | None => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chroot;

    #[test]
    fn adding_and_stripping_are_inverse() {
        for chroot in ["", "/", "/a", "/a/b"] {
            let chroot = Chroot::new(chroot).unwrap();
            for path in ["/", "/a", "/a/b", "/ab", "/x/y"] {
                assert_eq!(chroot.strip(&chroot.add(path)), path, "{chroot:?}");
            }
        }
    }

    #[test]
    fn what_is_outside_keeps_its_name() {
        let chroot = Chroot::new("/app").unwrap();
        assert_eq!(chroot.strip("/zookeeper/config"), "/zookeeper/config");
        assert_eq!(chroot.strip("/apple"), "/apple");
        assert_eq!(chroot.add("/"), "/app");
    }
}
