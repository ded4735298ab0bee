//! Random input of strangers.

use std::path::Path;

use auth::{BadKey, Credential, KeyText, Scope, Subject, TOKEN_MAX_BYTES};
use testkit::fuzz::fuzz;
use wire::{Filter, split_patterns};

#[track_caller]
fn check(target: &str, property: impl Fn(&str)) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    fuzz(&corpus, |input| property(&String::from_utf8_lossy(input)));
}

#[test]
fn fuzz_credentials() {
    check("credentials", |text| {
        let shown = Subject::Viewer { issuer: text.into(), subject: text.into() }.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        match Credential::parse(text) {
            Ok(Credential::Key(key)) => assert_eq!(key.expose(), text, "one text for one key"),
            Ok(Credential::Token(token)) => {
                assert!(token == text && token.len() <= TOKEN_MAX_BYTES && token.is_ascii());
                assert_eq!(KeyText::parse(text).err(), Some(BadKey), "no token is a key");
            }
            Err(_) => {}
        }
    });
}

#[test]
fn fuzz_scopes() {
    check("scopes", |list| {
        let parts = split_patterns(list);
        let (Ok(scope), Ok(filter)) = (Scope::parse(&parts), Filter::parse(Some(&parts[..1]))) else {
            return;
        };
        let texts: Vec<String> = scope.patterns().iter().map(ToString::to_string).collect();
        assert_eq!(Scope::parse(&texts), Ok(scope.clone()), "{texts:?}");
        for part in &parts {
            assert_eq!(
                scope.narrow(&filter).matches(part),
                filter.matches(part) && scope.contains(part),
                "{part}"
            );
        }
    });
}
