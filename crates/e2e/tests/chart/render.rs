use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// Databases of the chart: the least values that are not refused.
pub(crate) const DEV: &[&str] = &["postgres.mode=dev", "redis.mode=dev"];
/// External databases.
pub(crate) const EXTERNAL: &[&str] =
    &["postgres.external.url=postgres://u:p@db/rowcast", "redis.external.url=redis://cache"];

/// Of each rendering.
pub(crate) const RELEASE: &str = "rowcast";
pub(crate) const NAMESPACE: &str = "chart-facts";

/// The oldest Kubernetes that the chart supports, instead of Helm's default without a cluster.
pub(crate) const OLDEST: &str = "--kube-version=1.30.0";

/// The objects of a rendering.
pub(crate) struct Objects(pub(crate) Vec<Value>);

/// A pod as its template has it.
pub(crate) struct Pod {
    /// Kind and name of what makes it.
    pub(crate) owner: String,
    pub(crate) component: String,
    pub(crate) template: Value,
}

pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/rowcast")
}

/// The value sets in `ci/`: name, and the files it is rendered with.
pub(crate) fn sets() -> Vec<(String, Vec<PathBuf>)> {
    let files = std::fs::read_dir(chart().join("ci")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let set = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        // this one sets the databases, the other one the rest
        let base = (name == "ha").then(|| chart().join("values-ha.yaml"));
        (name, base.into_iter().chain([file]).collect())
    };
    files.into_iter().map(set).collect()
}

/// What a command prints, or its errors.
pub(crate) fn run(program: &str, args: &[String], input: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(errors);
    }
    assert!(!errors.contains("arning"), "{program} warns: {errors}");
    Ok(String::from_utf8(output.stdout).unwrap())
}

pub(crate) fn template(files: &[PathBuf], sets: &[&str], flags: &[&str]) -> Result<Objects, String> {
    template_of(&chart(), files, sets, flags)
}

/// Renders another chart than that of the checkout.
pub(crate) fn template_of(
    chart: &Path,
    files: &[PathBuf],
    sets: &[&str],
    flags: &[&str],
) -> Result<Objects, String> {
    let mut args: Vec<String> = ["template", RELEASE].map(str::to_owned).to_vec();
    args.push(chart.display().to_string());
    args.push(format!("--namespace={NAMESPACE}"));
    args.extend(files.iter().map(|file| format!("--values={}", file.display())));
    args.extend(sets.iter().map(|set| format!("--set={set}")));
    let flags = if flags.is_empty() { &[OLDEST] } else { flags };
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let text = run("helm", &args, "")?;
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    Ok(Objects(objects.into_iter().filter(|object| !object.is_null()).collect()))
}

/// The notes of an installation with these values.
#[track_caller]
pub(crate) fn notes(sets: &[&str]) -> String {
    let mut args: Vec<String> = ["install", RELEASE, "--dry-run=client"].map(str::to_owned).to_vec();
    args.push(chart().display().to_string());
    args.push(format!("--namespace={NAMESPACE}"));
    args.extend(sets.iter().map(|set| format!("--set={set}")));
    let text = run("helm", &args, "").unwrap_or_else(|error| panic!("{sets:?}: {error}"));
    text.split_once("NOTES:").unwrap().1.to_owned()
}

/// Renders some values beside those of a base.
#[track_caller]
pub(crate) fn render(base: &[&str], more: &[&str]) -> Objects {
    template(&[], &[base, more].concat(), &[]).unwrap_or_else(|error| panic!("{more:?}: {error}"))
}

/// Renders each value set.
#[track_caller]
pub(crate) fn each_set(mut check: impl FnMut(&str, &Objects)) {
    for (name, files) in sets() {
        let objects = template(&files, &[], &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&name, &objects);
    }
}

impl Objects {
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    #[track_caller]
    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        let found = self.0.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    #[track_caller]
    pub(crate) fn only(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{kind}");
        all[0]
    }

    pub(crate) fn pods(&self) -> Vec<Pod> {
        let templates = self.0.iter().filter_map(|object| {
            let template = match object["kind"].as_str().unwrap() {
                "Deployment" | "StatefulSet" | "Job" => &object["spec"]["template"],
                "Pod" => object,
                _ => return None,
            };
            let owner = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
            let component = text(&template["metadata"]["labels"]["app.kubernetes.io/component"]).to_owned();
            Some(Pod { owner, component, template: template.clone() })
        });
        templates.collect()
    }

    /// The pod of a component.
    #[track_caller]
    pub(crate) fn pod(&self, component: &str) -> Pod {
        let found = self.pods().into_iter().find(|pod| pod.component == component);
        found.unwrap_or_else(|| panic!("there is no pod of {component}"))
    }
}

impl Pod {
    pub(crate) fn spec(&self) -> &Value {
        &self.template["spec"]
    }

    pub(crate) fn container(&self) -> &Value {
        &self.spec()["containers"][0]
    }

    /// The Secret and key behind a variable.
    #[track_caller]
    pub(crate) fn secret(&self, variable: &str) -> (String, String) {
        let env = list(&self.container()["env"]).iter().find(|env| env["name"] == variable);
        let from =
            &env.unwrap_or_else(|| panic!("{} has no {variable}", self.owner))["valueFrom"]["secretKeyRef"];
        (text(&from["name"]).to_owned(), text(&from["key"]).to_owned())
    }
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether labels have all that a selector requires.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(name, value)| &labels[name] == value)
}
