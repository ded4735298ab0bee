//! The declarations of metrics and labels (`instruments::metrics!`, `instruments::labels!`), as the sources have them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use syn::{
    Attribute, Expr, Ident, Item, LitStr, Token, Type, Visibility, braced, bracketed, parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

/// One metric.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) help: String,
    pub(super) labels: Vec<String>,
    /// The enum of the label's values, if they are one.
    pub(super) values: Option<String>,
}

/// What a crate declares.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) metrics: Vec<Metric>,
    /// The values of each enum of a label, by its name.
    pub(super) labels: BTreeMap<String, Vec<String>>,
}

impl Declared {
    /// Adds what a file declares.
    pub(super) fn add(&mut self, source: &str) -> Result<()> {
        for item in syn::parse_file(source)?.items {
            let Item::Macro(item) = item else { continue };
            let path: Vec<_> =
                item.mac.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let [package, name] = &path[..] else { continue };
            match (package.as_str(), name.as_str()) {
                ("instruments", "metrics") => {
                    self.metrics.extend(item.mac.parse_body::<Struct>().context("metrics!")?.0);
                }
                ("instruments", "labels") => {
                    let Enum { name, values } = item.mac.parse_body().context("labels!")?;
                    self.labels.insert(name, values);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

struct Struct(Vec<Metric>);

impl Parse for Struct {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Token![struct]>()?;
        input.parse::<Ident>()?;
        let (prefix, fields);
        parenthesized!(prefix in input);
        let prefix = prefix.parse::<LitStr>()?.value();
        braced!(fields in input);
        let mut metrics = Vec::new();
        while !fields.is_empty() {
            metrics.push(field(&prefix, &fields)?);
        }
        Ok(Self(metrics))
    }
}

fn field(prefix: &str, input: ParseStream<'_>) -> syn::Result<Metric> {
    let help = help(&input.call(Attribute::parse_outer)?);
    input.parse::<Visibility>()?;
    input.parse::<Ident>()?;
    input.parse::<Token![:]>()?;
    let (values, kind) = kind(&input.parse()?)?;
    input.parse::<Token![=]>()?;
    let name = prefix.to_owned() + &input.parse::<LitStr>()?.value();
    let mut labels = Vec::new();
    while input.parse::<Option<Token![,]>>()?.is_some() {
        let option: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        if option == "by" {
            let list;
            bracketed!(list in input);
            let list = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
            labels.extend(list.iter().map(LitStr::value));
        } else {
            input.parse::<Expr>()?;
        }
    }
    input.parse::<Token![;]>()?;
    Ok(Metric { name, kind, help, labels, values })
}

/// The enum of a `By`'s label, and what Prometheus calls the type.
fn kind(of: &Type) -> syn::Result<(Option<String>, &'static str)> {
    let unknown = || syn::Error::new_spanned(of, "not the type of a metric");
    let Type::Path(path) = of else { return Err(unknown()) };
    let last = path.path.segments.last().ok_or_else(unknown)?;
    match last.ident.to_string().as_str() {
        "Counter" | "IntCounter" | "IntCounterVec" => Ok((None, "counter")),
        "Gauge" | "IntGauge" | "IntGaugeVec" => Ok((None, "gauge")),
        "Histogram" | "HistogramVec" | "WeightedHistogram" => Ok((None, "histogram")),
        "By" => {
            let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return Err(unknown());
            };
            let types: Vec<_> = arguments.args.iter().collect();
            let [syn::GenericArgument::Type(Type::Path(label)), syn::GenericArgument::Type(metric)] =
                types[..]
            else {
                return Err(unknown());
            };
            let label = label.path.segments.last().map(|segment| segment.ident.to_string());
            Ok((label, kind(metric)?.1))
        }
        _ => Err(unknown()),
    }
}

/// A doc comment as one line.
fn help(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let doc = attribute.meta.require_name_value().ok().filter(|doc| doc.path.is_ident("doc"))?;
        match &doc.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        }
    });
    lines.collect::<String>().trim().to_owned()
}

struct Enum {
    name: String,
    values: Vec<String>,
}

impl Parse for Enum {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Token![enum]>()?;
        let name = input.parse::<Ident>()?.to_string();
        let variants;
        braced!(variants in input);
        let value = |variant: ParseStream<'_>| {
            variant.call(Attribute::parse_outer)?;
            variant.parse::<Ident>()?;
            variant.parse::<Token![=]>()?;
            Ok(variant.parse::<LitStr>()?.value())
        };
        let values = variants.parse_terminated(value, Token![,])?;
        Ok(Self { name, values: values.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_with_its_prefix_its_comment_and_its_labels() {
        let source = r#"
            instruments::labels! {
                pub enum Stage { /// One.
                    First = "first", }
            }
            instruments::metrics! {
                /// All.
                pub(crate) struct Metrics("rowcast_") {
                    /// How long
                    /// it takes.
                    pub(crate) stages: By<Stage, Histogram> = "stage_seconds", by = ["stage"], buckets = [1.0];
                    /// Sessions.
                    sessions: IntGauge = "sessions";
                }
            }
            other::metrics! { anything }
        "#;
        let mut declared = Declared::default();
        declared.add(source).unwrap();
        let [stages, sessions] = &declared.metrics[..] else { panic!("{declared:?}") };
        assert_eq!((stages.name.as_str(), stages.kind), ("rowcast_stage_seconds", "histogram"));
        assert_eq!(stages.help, "How long it takes.");
        assert_eq!(
            (&stages.labels[..], stages.values.as_deref()),
            (&["stage".to_owned()][..], Some("Stage"))
        );
        assert_eq!((sessions.name.as_str(), sessions.kind), ("rowcast_sessions", "gauge"));
        assert_eq!(declared.labels["Stage"], ["first"]);
    }

    #[test]
    fn a_type_that_is_no_metric_is_refused() {
        let source = r#"instruments::metrics! { struct M("x_") { /// A.
            a: String = "a"; } }"#;
        Declared::default().add(source).unwrap_err();
    }
}
