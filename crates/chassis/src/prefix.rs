//! The path prefix under which a proxy that does not rewrite paths exposes a service.

use std::fmt;

use http::Uri;
use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::Deserialize;

/// `http.prefix`: `/rowcast`, or empty. The paths below it are served as those without it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Prefix(String);

impl Prefix {
    /// The fault of the prefix, if it has one. `own` are the first segments of the paths that are served.
    pub(crate) fn fault(&self, own: &[&str]) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
        match self.0.strip_prefix('/').map(|rest| rest.split('/')) {
            Some(mut segments) if segments.clone().all(is_segment) => {
                let first = segments.next().filter(|first| own.contains(first))?;
                Some(format!("must not begin with /{first}: the services use that path"))
            }
            _ => {
                Some("must be a path such as /rowcast: letters, digits, - . _ ~, no / at its end".to_owned())
            }
        }
    }

    /// Removes it from a path below it.
    pub(crate) fn strip(&self, uri: &mut Uri) {
        let Some(inside) = uri.path_and_query().and_then(|path| self.inside(path.as_str())) else { return };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(inside);
        if let Ok(inside) = Uri::from_parts(parts) {
            *uri = inside;
        }
    }

    fn inside(&self, path: &str) -> Option<PathAndQuery> {
        let rest = path.strip_prefix(&self.0).filter(|_| !self.0.is_empty())?;
        match rest.bytes().next() {
            Some(b'/') => rest.parse().ok(),
            None | Some(b'?') => format!("/{rest}").parse().ok(),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Prefix {
    fn from(path: &str) -> Self {
        Self(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_stripped(prefix: &str, asked: &str, served: &str) {
        let mut uri: Uri = asked.parse().unwrap();
        Prefix::from(prefix).strip(&mut uri);
        assert_eq!(uri.to_string(), served, "{asked} under {prefix:?}");
    }

    #[test]
    fn paths_with_and_without_the_prefix_are_the_same() {
        check_stripped("/rowcast", "/rowcast/api/readings?limit=2", "/api/readings?limit=2");
        check_stripped("/rowcast", "/api/readings?limit=2", "/api/readings?limit=2");
        check_stripped("/rowcast", "/rowcast", "/");
        check_stripped("/rowcast", "/rowcast?a", "/?a");
        check_stripped("/rowcast", "/rowcast/", "/");
        check_stripped("/a/b", "http://host/a/b/ws/sensors/", "http://host/ws/sensors/");
        check_stripped("", "/api/readings", "/api/readings");
    }

    #[test]
    fn a_path_that_only_begins_like_the_prefix_is_another_path() {
        check_stripped("/rowcast", "/rowcasts/api/readings", "/rowcasts/api/readings");
        check_stripped("/rowcast", "/ROWCAST/api/readings", "/ROWCAST/api/readings");
        check_stripped("/rowcast", "/x/rowcast/api/readings", "/x/rowcast/api/readings");
        check_stripped("/rowcast", "/rowcast/rowcast/docs", "/rowcast/docs");
        check_stripped("/rowcast", "/rowcast//docs", "//docs");
    }

    #[test]
    fn a_prefix_is_a_plain_path_that_is_not_served_itself() {
        for prefix in ["", "/rowcast", "/a/b-c.d_e~f", "/apis"] {
            assert_eq!(Prefix::from(prefix).fault(&["api"]), None, "{prefix}");
        }
        for prefix in
            ["rowcast", "/", "/rowcast/", "//", "/a//b", "/a?b", "/a#b", "/a b", "/%41", "/..", "/é"]
        {
            assert!(Prefix::from(prefix).fault(&["api"]).unwrap().contains("must be a path"), "{prefix}");
        }
        assert_eq!(
            Prefix::from("/api/x").fault(&["api"]).unwrap(),
            "must not begin with /api: the services use that path"
        );
    }
}
