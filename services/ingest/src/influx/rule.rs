//! The sensor to which a field of a line belongs.

use std::{fmt::Write, str::FromStr};

/// What every text of a line may be found by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    /// The organization that the request names, or nothing.
    pub(crate) org: &'a str,
    /// The bucket or database that the request names, or nothing.
    pub(crate) bucket: &'a str,
    pub(crate) measurement: &'a str,
    /// Names and values, in the order of the names.
    pub(crate) tags: &'a [(&'a str, &'a str)],
    pub(crate) field: &'a str,
}

/// A rule by which the sensor's id is made, such as `{measurement}/{tags}/{field}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Separated by `/` in the id. One that comes out empty is left out.
    segments: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Org,
    Bucket,
    Measurement,
    /// The values of all tags, separated by `/`.
    Tags,
    /// The value of one tag.
    Tag(String),
    Field,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let segments: Vec<Vec<Part>> = text.split('/').map(parts).collect::<Result<_, _>>()?;
        let names = |part: &Part| segments.iter().flatten().any(|own| own == part);
        if names(&Part::Field) {
            Ok(Self { segments })
        } else {
            // the fields of a line would all be one sensor
            Err("must have {field}".to_owned())
        }
    }
}

fn parts(segment: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = segment;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("has a { without its }")?;
        parts.extend((!text.is_empty()).then(|| Part::Text(text.to_owned())));
        parts.push(match name {
            "org" => Part::Org,
            "bucket" => Part::Bucket,
            "measurement" => Part::Measurement,
            "tags" => Part::Tags,
            "field" => Part::Field,
            _ => match name.strip_prefix("tag.") {
                Some(tag) if !tag.is_empty() => Part::Tag(tag.to_owned()),
                _ => {
                    let known = "{org}, {bucket}, {measurement}, {tags}, {tag.NAME} and {field}";
                    return Err(format!("knows no {{{name}}}, but {known}"));
                }
            },
        });
        rest = after;
    }
    parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
    Ok(parts)
}

impl Rule {
    /// The id of the sensor.
    pub(crate) fn sensor_id(&self, field: &Field<'_>) -> String {
        let mut id = String::new();
        for segment in &self.segments {
            let before = id.len();
            if !id.is_empty() {
                id.push('/');
            }
            let began = id.len();
            segment.iter().for_each(|part| part.write(field, &mut id));
            if id.len() == began {
                id.truncate(before);
            }
        }
        id
    }
}

impl Part {
    fn write(&self, field: &Field<'_>, id: &mut String) {
        match self {
            Self::Text(text) => id.push_str(text),
            Self::Org => id.push_str(field.org),
            Self::Bucket => id.push_str(field.bucket),
            Self::Measurement => id.push_str(field.measurement),
            Self::Field => id.push_str(field.field),
            Self::Tag(name) => {
                let own = field.tags.iter().find(|(tag, _)| tag == name);
                id.push_str(own.map_or("", |(_, value)| value));
            }
            Self::Tags => {
                for (nth, (_, value)) in field.tags.iter().enumerate() {
                    // writing to a string does not fail
                    let _ = write!(id, "{}{value}", if nth == 0 { "" } else { "/" });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Field<'_> = Field {
        org: "acme",
        bucket: "plant",
        measurement: "cpu",
        tags: &[("cpu", "cpu0"), ("host", "a")],
        field: "idle",
    };

    #[track_caller]
    fn check(rule: &str, field: &Field<'_>, expected: &str) {
        assert_eq!(rule.parse::<Rule>().unwrap().sensor_id(field), expected, "{rule}");
    }

    #[test]
    fn segments_are_filled_in_and_those_that_are_empty_are_left_out() {
        check("{measurement}/{tags}/{field}", &FIELD, "cpu/cpu0/a/idle");
        check("{measurement}/{tags}/{field}", &Field { tags: &[], ..FIELD }, "cpu/idle");
        check("{org}/{bucket}/{tag.host}/{measurement}.{field}", &FIELD, "acme/plant/a/cpu.idle");
        check("{org}/{tag.room}/{field}", &Field { org: "", ..FIELD }, "idle");
        check("site-7/{field}", &FIELD, "site-7/idle");
    }

    #[test]
    fn a_rule_names_its_parts_and_the_field() {
        for (rule, part) in [
            ("{measurement}", "must have {field}"),
            ("{field", "without its }"),
            ("{host}/{field}", "knows no {host}"),
            ("{tag.}/{field}", "knows no {tag.}"),
        ] {
            let fault = rule.parse::<Rule>().unwrap_err();
            assert!(fault.contains(part), "{rule}: {fault}");
        }
    }
}
