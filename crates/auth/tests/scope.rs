//! Scopes and what they leave of a filter, against their definitions.
#![expect(clippy::unwrap_used, reason = "tests")]

use auth::{BadScope, MAX_PATTERNS, Scope};
use proptest::{collection::vec, prelude::*};
use wire::{Filter, Pattern};

/// Short texts of few characters, so that they often are, begin or just miss each other; also the ends of the order by bytes.
fn text(length: impl Into<proptest::string::StringParam>) -> impl Strategy<Value = String> {
    let pattern: proptest::string::StringParam = length.into();
    proptest::string::string_regex(pattern.into()).unwrap()
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![text("[ab/ä!]{1,4}").prop_map(Pattern::Exact), text("[ab/ä!]{0,3}").prop_map(Pattern::Prefix),]
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![1 => Just(Filter::All), 9 => vec(pattern(), 0..6).prop_map(Filter::Any)]
}

fn scope(patterns: &[Pattern]) -> Scope {
    Scope::parse(&patterns.iter().map(Pattern::to_string).collect::<Vec<_>>()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_scope_contains_what_one_of_its_patterns_matches(
        patterns in vec(pattern(), 0..8),
        sensors in vec(text("[ab/ä!]{1,5}"), 20),
    ) {
        let scope = scope(&patterns);
        let naive = Filter::Any(patterns);
        for sensor in sensors {
            prop_assert_eq!(scope.contains(&sensor), naive.matches(&sensor), "{}", sensor);
        }
    }

    #[test]
    fn a_narrowed_filter_matches_what_both_have(
        patterns in vec(pattern(), 0..8),
        filter in filter(),
        sensors in vec(text("[ab/ä!]{1,5}"), 20),
    ) {
        let scope = scope(&patterns);
        let narrowed = scope.narrow(&filter);
        for sensor in sensors {
            let both = filter.matches(&sensor) && scope.contains(&sensor);
            prop_assert_eq!(narrowed.matches(&sensor), both, "{}", sensor);
        }
        if let (Filter::Any(wanted), Filter::Any(narrowed)) = (&filter, &narrowed) {
            prop_assert!(narrowed.len() <= wanted.len() + scope.patterns().len());
        }
    }

    #[test]
    fn a_scope_is_the_same_whatever_the_order_and_repetitions_of_its_patterns(
        patterns in vec(pattern(), 0..8),
        seed in any::<prop::sample::Index>(),
    ) {
        let mut other = [patterns.clone(), patterns.clone()].concat();
        if !other.is_empty() {
            let at = seed.index(other.len());
            other.rotate_left(at);
        }
        prop_assert_eq!(scope(&patterns), scope(&other));
    }
}

#[test]
fn all_leaves_a_filter_as_it_is_and_none_leaves_nothing() {
    let nothing = Filter::Any(Vec::new());
    for filter in [Filter::All, nothing.clone(), Filter::parse(Some(&["b", "a*", "ab"])).unwrap()] {
        assert_eq!(Scope::all().narrow(&filter), filter);
        assert_eq!(Scope::none().narrow(&filter), nothing);
    }
    assert!(Scope::all().contains("") && !Scope::none().contains(""));
    for texts in [&["*"][..], &["a", "*", "a*"]] {
        assert_eq!(Scope::parse(texts).unwrap(), Scope::all());
    }
    assert!(Scope::parse::<&str>(&[]).unwrap().is_none());
}

#[test]
fn tenants_do_not_see_each_other() {
    let scope = Scope::parse(&["acme/*", "shared/door"]).unwrap();
    for (sensor, may) in
        [("acme/1", true), ("acme/", true), ("acme", false), ("acme2/1", false), ("shared/door", true)]
    {
        assert_eq!(scope.contains(sensor), may, "{sensor}");
    }
    let narrowed = |sensors: &[&str]| match scope.narrow(&Filter::parse(Some(sensors)).unwrap()) {
        Filter::Any(patterns) => patterns.iter().map(Pattern::to_string).collect::<Vec<_>>(),
        Filter::All => panic!("{sensors:?} is narrowed to everything"),
    };
    assert_eq!(narrowed(&["*"]), ["acme/*", "shared/door"]);
    assert_eq!(narrowed(&["acme/boiler*", "acme/boiler1", "other/*"]), ["acme/boiler*"]);
    assert_eq!(narrowed(&["shared/*", "shared/d*"]), ["shared/door"]);
    assert_eq!(narrowed(&["acm*"]), ["acme/*"]);
    assert_eq!(narrowed(&["other/*"]), [""; 0]);
}

#[test]
fn what_is_no_list_of_patterns_is_refused() {
    assert!(matches!(Scope::parse(&["a", "a*b"]), Err(BadScope::Pattern(text, _)) if text == "a*b"));
    let many: Vec<String> = (0..=MAX_PATTERNS).map(|number| number.to_string()).collect();
    assert_eq!(Scope::parse(&many), Err(BadScope::TooMany(MAX_PATTERNS + 1)));
    assert!(Scope::parse(&many[1..]).is_ok());
}
