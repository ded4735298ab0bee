//! What the standard variables `OTEL_…` say of the exporter.

use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Uri};

/// How spans are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    HttpProtobuf,
}

/// A valid configuration. The exporter reads the rest (headers, timeouts, sampler) from the same variables itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    /// Of the collector; for HTTP with the path.
    pub(super) endpoint: String,
    /// The authorities to trust instead of the system's.
    pub(super) certificate: Option<PathBuf>,
    /// This side's certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

/// The samplers that the SDK has.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

impl Settings {
    /// `None` without an endpoint.
    ///
    /// # Errors
    /// Every fault, each with its variable.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Vec<String>> {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        // the variable for traces goes before that for all signals
        let either = |name: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
            names.into_iter().find_map(|name| get(&name).map(|value| (name, value)))
        };
        let is_off = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let Some((variable, endpoint)) = either("ENDPOINT").filter(|_| !is_off) else { return Ok(None) };

        let mut faults = Vec::new();
        let mut note = |variable: &str, what: &str| faults.push(format!("{variable} {what}"));
        let protocol = match either("PROTOCOL").as_ref().map(|(name, value)| (name, value.as_str())) {
            None | Some((_, "grpc")) => Protocol::Grpc,
            Some((_, "http/protobuf")) => Protocol::HttpProtobuf,
            Some((name, _)) => {
                note(name, "must be grpc or http/protobuf");
                Protocol::Grpc
            }
        };
        let uri = endpoint.parse::<Uri>().ok();
        if !uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        {
            note(&variable, "must be a URL such as http://collector:4317");
        }
        if let Some((name, headers)) = either("HEADERS")
            && !headers.split(',').all(is_header)
        {
            // without the value: it may be a secret
            note(&name, "must be a list such as name=value,name=value");
        }
        let mut path = |name: &str| {
            let (variable, path) = either(name)?;
            if std::fs::File::open(&path).is_err() {
                note(&variable, &format!("names a file that cannot be read: {path}"));
            }
            Some(PathBuf::from(path))
        };
        let (certificate, own, key) = (path("CERTIFICATE"), path("CLIENT_CERTIFICATE"), path("CLIENT_KEY"));
        if own.is_some() != key.is_some() {
            note(
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                "and OTEL_EXPORTER_OTLP_CLIENT_KEY are set together",
            );
        }
        check_sampler(get, &mut note);
        let endpoint = match protocol {
            // the general variable names the collector, that for traces the whole address
            Protocol::HttpProtobuf if !variable.contains("TRACES") => {
                format!("{}/v1/traces", endpoint.trim_end_matches('/'))
            }
            _ => endpoint,
        };
        if faults.is_empty() {
            Ok(Some(Self { protocol, endpoint, certificate, client: own.zip(key) }))
        } else {
            Err(faults)
        }
    }
}

fn check_sampler(get: impl Fn(&str) -> Option<String>, note: &mut impl FnMut(&str, &str)) {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(sampler) = get("OTEL_TRACES_SAMPLER") else {
        if get(ARGUMENT).is_some() {
            note(ARGUMENT, "needs OTEL_TRACES_SAMPLER, such as parentbased_traceidratio");
        }
        return;
    };
    if !SAMPLERS.contains(&sampler.as_str()) {
        note("OTEL_TRACES_SAMPLER", &format!("must be one of {}", SAMPLERS.join(", ")));
    }
    let ratio = get(ARGUMENT).and_then(|ratio| ratio.parse::<f64>().ok());
    if sampler.ends_with("traceidratio") && !ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio)) {
        note(ARGUMENT, "must be a ratio from 0 to 1");
    }
}

/// Whether it is `name=value`, with a percent-encoded value.
fn is_header(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, value)| {
        name.trim().parse::<HeaderName>().is_ok() && value.trim().parse::<HeaderValue>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Vec<String>> {
        let get = |name: &str| {
            let found = variables.iter().find(|(own, _)| format!("OTEL_{own}") == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(get)
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], protocol: Protocol, endpoint: &str) {
        let settings = read(variables).unwrap().unwrap();
        assert_eq!((settings.protocol, settings.endpoint.as_str()), (protocol, endpoint));
    }

    #[track_caller]
    fn check_fault(variables: &[(&str, &str)], parts: &[&str]) {
        let faults = read(&[&[("EXPORTER_OTLP_ENDPOINT", "http://c:4317")], variables].concat()).unwrap_err();
        assert_eq!(faults.len(), parts.len(), "{faults:?}");
        for (fault, part) in faults.iter().zip(parts) {
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn the_endpoint_and_the_protocol_are_those_of_the_standard() {
        let endpoint = ("EXPORTER_OTLP_ENDPOINT", "http://c:4317");
        let http = ("EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        check(&[endpoint], Protocol::Grpc, "http://c:4317");
        check(&[endpoint, ("EXPORTER_OTLP_PROTOCOL", "grpc")], Protocol::Grpc, "http://c:4317");
        check(&[endpoint, http], Protocol::HttpProtobuf, "http://c:4317/v1/traces");
        check(
            &[("EXPORTER_OTLP_ENDPOINT", "https://c/otlp/"), http],
            Protocol::HttpProtobuf,
            "https://c/otlp/v1/traces",
        );
        let own = ("EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/own");
        check(&[endpoint, own, http], Protocol::HttpProtobuf, "https://c/own");
        let sampled = [("TRACES_SAMPLER", "parentbased_traceidratio"), ("TRACES_SAMPLER_ARG", "0.01")];
        check(&[&[endpoint], &sampled[..]].concat(), Protocol::Grpc, "http://c:4317");
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        assert_eq!(read(&[endpoint, ("SDK_DISABLED", "true")]), Ok(None));
    }

    #[test]
    fn each_fault_is_told_with_its_variable_and_without_secrets() {
        check_fault(&[("EXPORTER_OTLP_PROTOCOL", "http/json")], &["OTLP_PROTOCOL must be grpc"]);
        check_fault(
            &[("EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317")],
            &["TRACES_ENDPOINT must be a URL"],
        );
        check_fault(&[("EXPORTER_OTLP_CERTIFICATE", "/no/such")], &["cannot be read: /no/such"]);
        check_fault(&[("EXPORTER_OTLP_CLIENT_KEY", "/dev/null")], &["are set together"]);
        check_fault(&[("TRACES_SAMPLER", "xray")], &["OTEL_TRACES_SAMPLER must be one of always_on"]);
        check_fault(&[("TRACES_SAMPLER", "traceidratio")], &["SAMPLER_ARG must be a ratio"]);
        check_fault(&[("TRACES_SAMPLER_ARG", "0.1")], &["SAMPLER_ARG needs OTEL_TRACES_SAMPLER"]);
        let two = [("EXPORTER_OTLP_HEADERS", "hunter2"), ("TRACES_SAMPLER", "some")];
        check_fault(&two, &["OTLP_HEADERS must be a list", "OTEL_TRACES_SAMPLER must be"]);
        let faults = read(&[&[("EXPORTER_OTLP_ENDPOINT", "http://c")], &two[..]].concat()).unwrap_err();
        assert!(!faults.concat().contains("hunter2"), "{faults:?}");
    }
}
