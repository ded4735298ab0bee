use chassis::from_environment;

use crate::Config;

const DATABASE: (&str, &str) = ("ROWCAST_DATABASE__URL", "postgres://a@127.0.0.1/x");

/// What is said of the hook `h` with these keys.
fn faults(keys: &[(&str, &str)]) -> String {
    let names: Vec<String> = keys.iter().map(|(key, _)| format!("ROWCAST_HOOKS__H__{key}")).collect();
    let variables = names.iter().zip(keys).map(|(name, (_, value))| (name.as_str(), *value));
    let variables: Vec<(&str, &str)> = [DATABASE].into_iter().chain(variables).collect();
    from_environment::<Config>(&variables).map_or_else(|faults| faults.to_string(), |_| String::new())
}

#[track_caller]
fn check(keys: &[(&str, &str)], expected: &str) {
    let found = faults(keys);
    let expected = if expected.is_empty() { String::new() } else { format!("hooks.h.{expected}\n") };
    assert_eq!(found, expected, "{keys:?}");
}

#[test]
fn a_preset_is_enough_and_a_hooks_own_keys_go_before_it() {
    for preset in ["the-things-stack", "shelly", "shelly-rpc", "home-assistant"] {
        check(&[("PRESET", preset)], "");
    }
    check(&[("PRESET", "home-assistant"), ("SENSOR", "acme/{/entity_id}"), ("TIME", "")], "");
    check(&[("PRESET", "the-things-stack"), ("VALUE", "/uplink_message/f_cnt"), ("SENSOR", "a")], "");
}

#[test]
fn faults_are_told_by_their_keys() {
    let own = [("SENSOR", "a"), ("VALUE", "/v")];
    let and = |more: &[(&'static str, &'static str)]| [&own[..], more].concat();
    check(&own, "");
    check(&[("VALUE", "/v")], "sensor: is missing: set it, or preset");
    check(&[("SENSOR", "a")], "value: is missing: set it, or values, or preset");
    check(&and(&[("VALUES", "/w")]), "values: must not be set beside value");
    check(
        &[("SENSOR", "a"), ("VALUES", "")],
        "sensor: must have {field}: the values of a payload would all be one sensor's",
    );
    check(&[("SENSOR", "{field}"), ("VALUE", "")], "sensor: must not have {field}: there is one value");
    check(&and(&[("PRECISION", "days")]), "precision: must be ns, us, ms or s");
    check(&and(&[("METADATA", "a=/a,b")]), "metadata: \"b\" is not name=pointer");
    check(&and(&[("METADATA", "a=/a,a=/b")]), "metadata: has a twice");
    let not_a_pointer = "\"at\" is not a JSON pointer such as /uplink/value, or empty for the whole payload";
    check(&and(&[("TIME", "at")]), &format!("time: {not_a_pointer}"));
    check(&and(&[("WHEN", "at=1")]), &format!("when: {not_a_pointer}"));
}

#[test]
fn a_signature_has_a_header_and_one_secret() {
    let own = [("SENSOR", "a"), ("VALUE", "/v")];
    let with = |more: &[(&'static str, &'static str)]| [&own[..], more].concat();
    let header = ("SIGNATURE__HEADER", "X-Signature");
    let secret = ("SIGNATURE__SECRET", "hunter2");
    check(&with(&[header, secret, ("SIGNATURE__ALGORITHM", "sha1"), ("SIGNATURE__ENCODING", "base64")]), "");
    check(&with(&[secret]), "signature.header: is missing");
    check(&with(&[header]), "signature.secret: is missing: set it, or secret_file");
    check(&with(&[("SIGNATURE__HEADER", "a b"), secret]), "signature.header: is not the name of a header");
    check(&with(&[header, ("SIGNATURE__SECRET", "")]), "signature.secret: is empty");
    let both = with(&[header, secret, ("SIGNATURE__SECRET_FILE", "/nowhere")]);
    check(&both, "signature.secret_file: must not be set beside secret");
    let found = faults(&with(&[header, ("SIGNATURE__SECRET_FILE", "/nowhere")]));
    assert!(found.starts_with("hooks.h.signature.secret_file: cannot be read: "), "{found}");
    check(
        &with(&[header, secret, ("QUERY", "true")]),
        "query: must be false: a query has no body that could be signed",
    );
}

#[test]
fn a_hook_has_a_plain_name() {
    for name in ["MY_HOOK", "MY-HOOK-2"] {
        let variable = format!("ROWCAST_HOOKS__{name}__PRESET");
        from_environment::<Config>(&[DATABASE, (&variable, "shelly")]).unwrap();
    }
    for name in ["H\u{e4}", &"H".repeat(65)] {
        let variable = format!("ROWCAST_HOOKS__{name}__PRESET");
        from_environment::<Config>(&[DATABASE, (&variable, "shelly")]).unwrap_err();
    }
}

#[test]
fn an_unknown_key_and_an_unknown_preset_are_told_and_no_secret_is() {
    let unknown = faults(&[("PRESETT", "shelly")]);
    let expected =
        "hooks.h.presett: unknown key: did you mean hooks.h.preset? (from ROWCAST_HOOKS__H__PRESETT)\n";
    assert_eq!(unknown, expected);
    assert!(
        faults(&[("PRESET", "shelli")])
            .contains("the-things-stack or shelly or shelly-rpc or home-assistant")
    );
    let secret = ("ROWCAST_HOOKS__H__SIGNATURE__SECRET", "hunter2");
    let header = ("ROWCAST_HOOKS__H__SIGNATURE__HEADER", "X-Signature");
    let all = [DATABASE, ("ROWCAST_HOOKS__H__PRESET", "home-assistant"), header, secret];
    let shown = format!("{:?}", from_environment::<Config>(&all).unwrap());
    assert!(shown.contains("[REDACTED]") && !shown.contains("hunter2"), "{shown}");
}
