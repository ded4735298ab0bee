//! A hook: whom it believes, and the readings of what it is sent.

use chassis::Problem;
use http::HeaderMap;
use serde_json::value::RawValue;
use store::NewReading;
use time::OffsetDateTime;

use super::{
    mapping::{Mapping, Unusable},
    signature::Signature,
};
use crate::{
    limits::{MAX_FAULTS, MAX_LINE_READINGS, MAX_READINGS, OBJECT_BYTES, SPREAD_BYTES},
    refusals::{self, Fault, Refused},
};

/// One webhook.
pub(crate) struct Hook {
    pub(super) mapping: Mapping,
    /// Whether GET is taken, with the query as the payload.
    pub(super) query: bool,
    pub(super) signature: Option<Signature>,
}

impl Hook {
    pub(crate) const fn takes_query(&self) -> bool {
        self.query
    }

    pub(crate) const fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// Refuses a body that the sender has not signed, if its sender signs.
    pub(crate) fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
        match &self.signature {
            Some(signature) if !signature.holds(headers, body) => {
                Err(refusals::bad_signature(signature.header().as_str()))
            }
            _ => Ok(()),
        }
    }

    /// The readings of a query, whose parameters are the members of the payload.
    pub(crate) fn of_query(&self, query: &str, now: OffsetDateTime) -> Result<Vec<NewReading>, Problem> {
        let member = |(name, value)| format!("{}:{}", serde_json::json!(name), serde_json::json!(value));
        let members: Vec<String> = form_urlencoded::parse(query.as_bytes()).map(member).collect();
        self.readings(format!("{{{}}}", members.join(",")).as_bytes(), now)
    }

    /// The readings of a body: one payload, or an array of them. All are good, or none is stored.
    pub(crate) fn readings(&self, body: &[u8], now: OffsetDateTime) -> Result<Vec<NewReading>, Problem> {
        let (payloads, are_many) = payloads(body).map_err(refusals::refused)?;
        let (mut readings, mut faults, mut spread) = (Vec::new(), Vec::new(), 0);
        for (index, payload) in payloads.into_iter().enumerate() {
            match self.mapping.readings(payload, now) {
                Ok(own) => {
                    spread += own.iter().map(|reading| reading.metadata.len()).sum::<usize>();
                    readings.extend(own);
                }
                Err(Unusable::TooMuch) => return Err(refusals::too_many_fields()),
                Err(Unusable::Faulty(own)) if are_many => {
                    faults.extend(own.into_iter().map(|fault| within(index, fault)))
                }
                Err(Unusable::Faulty(own)) => faults.extend(own),
            }
            if readings.len() > MAX_LINE_READINGS || spread > SPREAD_BYTES {
                return Err(refusals::too_many_fields());
            }
            if faults.len() >= MAX_FAULTS {
                break;
            }
        }
        faults.truncate(MAX_FAULTS);
        if faults.is_empty() { Ok(readings) } else { Err(refusals::refused(Refused::Malformed(faults))) }
    }
}

fn within(index: usize, Fault { pointer, detail }: Fault) -> Fault {
    Fault { pointer: format!("/{index}{pointer}"), detail }
}

/// The payloads of a body, and whether it is an array.
fn payloads(body: &[u8]) -> Result<(Vec<&str>, bool), Refused> {
    let text = std::str::from_utf8(body).map_err(|_| Refused::whole("the body is not UTF-8"))?;
    let (payloads, are_many) = match text.trim_start().bytes().next() {
        None => return Err(Refused::whole("the body is empty")),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)
                .map_err(|error| Refused::whole(format!("the body is not JSON: {error}")))?;
            (items.into_iter().map(RawValue::get).collect(), true)
        }
        Some(_) => (vec![text], false),
    };
    match payloads.len() {
        0..=MAX_READINGS if payloads.iter().all(|payload: &&str| payload.len() <= OBJECT_BYTES) => {
            Ok((payloads, are_many))
        }
        0..=MAX_READINGS => Err(Refused::TooLong),
        _ => Err(Refused::TooMany),
    }
}

#[cfg(test)]
mod tests;
