//! What operations share: schemas, parameters, refusals.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use wire::{Position, reading::ReadingObject};

use crate::json::members;

/// The aggregates of a sensor's readings within one interval.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Bucket {
    /// The sensor.
    sensor_id: String,
    /// When it begins: a whole number of its lengths after 1970, UTC.
    bucket: String,
    /// The number of readings.
    count: i64,
    /// The least value.
    min: f64,
    /// The greatest value.
    max: f64,
    /// Their mean.
    avg: f64,
}

/// A page of readings.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Readings {
    /// In the requested order.
    readings: Vec<ReadingObject>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(required)]
    next: Option<String>,
}

/// A page of buckets.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Buckets {
    /// By time, then by sensor; those without readings are left out.
    buckets: Vec<Bucket>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(required)]
    next: Option<String>,
}

/// A page of the newest reading of each sensor.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Latest {
    /// The position that it is as of: a subscription with this as its `from` continues live, without a gap.
    pos: Position,
    /// In the order of the sensors' ids.
    readings: Vec<ReadingObject>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(required)]
    next: Option<String>,
}

/// One sensor.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Sensor {
    /// Its id.
    sensor_id: String,
    /// Its newest reading by the readings' own time.
    newest: ReadingObject,
    /// Its oldest.
    oldest: ReadingObject,
}

/// A ticket.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct IssuedTicket {
    /// The value of `?ticket=`.
    ticket: String,
    /// How long it can be used.
    expires_in_ms: u64,
}

/// A time.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[schemars(untagged)]
enum Time {
    /// RFC 3339.
    Text(String),
    /// Since 1970.
    Number(f64),
}

/// A reading to be stored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct NewReading {
    /// 1 to 100 characters, none of them a control character; white space around it is dropped.
    #[schemars(length(min = 1))]
    sensor_id: String,
    /// Finite. A number as text is taken too.
    value: f64,
    /// The reading's time, at most 24 hours ahead; absent, the time of the insert. RFC 3339, or a number that counts from 1970
    /// what `precision` says.
    timestamp: Option<Time>,
    /// Any JSON but null, without U+0000.
    metadata: Option<Value>,
    /// By which the reading is stored once for its sensor and timestamp, for at least 7 days: sent again, it is answered as it was
    /// stored first. None of the characters is a control character.
    #[schemars(length(min = 1, max = 128))]
    key: Option<String>,
}

/// The answer to one stored reading.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Stored {
    #[schemars(flatten)]
    reading: ReadingObject,
    /// A sentence.
    message: String,
    /// True.
    success: bool,
}

/// The answer to several.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct StoredMany {
    /// True.
    success: bool,
    /// A sentence.
    message: String,
    /// In the order given.
    ids: Vec<i64>,
}

/// The answer to several of which some may be wrong.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct StoredEach {
    /// Whether all are stored.
    success: bool,
    /// A sentence.
    message: String,
    /// In the order given.
    results: Vec<EachResult>,
}

/// What became of one reading.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[schemars(untagged)]
enum EachResult {
    /// It is stored.
    Stored {
        /// 201.
        status: u16,
        /// Its id.
        id: i64,
    },
    /// It is not; 503 may be repeated.
    Refused(Problem),
}

/// A refusal (RFC 9457).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Problem {
    /// `urn:rowcast:problem:` and a stable word.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// A sentence for people.
    detail: String,
    /// The same, as the demo named it.
    error: String,
    /// Where several things are wrong, each of them.
    errors: Option<Vec<Fault>>,
}

/// One thing that is wrong.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Fault {
    /// Where in the body (RFC 6901); empty for the body as a whole, and for the query.
    pointer: String,
    /// A sentence.
    detail: String,
}

/// JSON Schema 2020-12, as OpenAPI 3.1 has it.
pub(super) fn schemas() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    generator.subschema_for::<Readings>();
    generator.subschema_for::<Buckets>();
    generator.subschema_for::<Latest>();
    generator.subschema_for::<Sensor>();
    generator.subschema_for::<IssuedTicket>();
    generator.subschema_for::<NewReading>();
    generator.subschema_for::<Stored>();
    generator.subschema_for::<StoredMany>();
    generator.subschema_for::<StoredEach>();
    generator.subschema_for::<Problem>();
    generator.take_definitions(true)
}

pub(super) fn parameters() -> Value {
    members([
        (
            "idempotencyKey",
            json!({
                "name": "Idempotency-Key", "in": "header",
                "description": "Repeat a request with its key until it is answered: it is stored once, and answered as the first time, \
                    with `Idempotency-Replayed: true`, for at least 24 hours. 1 to 255 visible ASCII characters, with or without quotes.",
                "schema": { "type": "string", "minLength": 1, "maxLength": 257 },
                "example": "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""
            }),
        ),
        (
            "sensor",
            json!({
                "name": "sensor", "in": "query",
                "description": "Exact ids and prefixes (`cellar-*`), in one list or in several; absent, every sensor.",
                "schema": { "type": "array", "items": { "type": "string" }, "maxItems": 100 },
                "style": "form", "explode": false,
                "example": ["kitchen", "cellar-*"]
            }),
        ),
        (
            "limit",
            json!({
                "name": "limit", "in": "query", "description": "The most rows; more than 1000 is 1000.",
                "schema": { "type": "integer", "minimum": 1, "default": 100 }
            }),
        ),
        (
            "cursor",
            json!({
                "name": "cursor", "in": "query", "description": "`next` of the page before, with the same query.",
                "schema": { "type": "string" }
            }),
        ),
        (
            "from",
            json!({
                "name": "from", "in": "query",
                "description": "The start of the time span, inclusive, by the readings' own `timestamp`. Required with `bucket`.",
                "schema": { "type": "string", "format": "date-time" }
            }),
        ),
        (
            "to",
            json!({
                "name": "to", "in": "query",
                "description": "The end of the time span, exclusive. With `bucket`, now where it is absent.",
                "schema": { "type": "string", "format": "date-time" }
            }),
        ),
        (
            "order",
            json!({
                "name": "order", "in": "query", "description": "By time: newest or oldest first.",
                "schema": { "enum": ["desc", "asc"], "default": "desc" }
            }),
        ),
        (
            "bucket",
            json!({
                "name": "bucket", "in": "query",
                "description": "Count, least, greatest and mean of each interval of this length, whole seconds from `1s` to \
                    `1d`. Needs `sensor` and `from`; at most 256 sensors, 366 days, and 10,000 intervals of each sensor.",
                "schema": { "type": "string" }, "example": "1m"
            }),
        ),
    ])
}

fn problem(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": schema("Problem") } }
    })
}

fn problem_for_now(description: &str) -> Value {
    let mut response = problem(description);
    response["headers"] =
        json!({ "Retry-After": { "description": "In seconds.", "schema": { "type": "integer" } } });
    response
}

fn unauthenticated() -> Value {
    let mut response = problem("There is no valid credential, and this needs one.");
    response["headers"] = challenge();
    response
}

/// The header of every 401.
pub(super) fn challenge() -> Value {
    json!({ "WWW-Authenticate": { "description": "`Bearer` (RFC 6750).", "schema": { "type": "string" } } })
}

pub(super) fn responses() -> Value {
    members([
        ("Malformed", problem("The query or the body is not as it must be; `errors` names each fault.")),
        ("ForeignOrigin", problem("Pages of this origin are not allowed, or the credential may not read.")),
        ("Forbidden", problem("The credential may not do this.")),
        ("Unauthenticated", unauthenticated()),
        ("NotFound", problem("Not found.")),
        ("NotAllowed", problem("The method is not allowed; `Allow` names those that are.")),
        ("NotAcceptable", problem("None of the available media types is accepted.")),
        ("Gone", problem("The cursor expired: restart without it.")),
        ("KeyInUse", problem_for_now("A request with this `Idempotency-Key` is being stored.")),
        ("KeyReused", problem("This `Idempotency-Key` was used for another request.")),
        ("TooLarge", problem("More bytes or readings than one request may have.")),
        ("MediaType", problem("Neither JSON nor NDJSON.")),
        ("Coding", problem("A content coding that is not known, or is not taken of a sender that signs.")),
        (
            "Unsigned",
            problem(
                "The signature is missing or wrong, a page of another site sends this, or the credential may not write.",
            ),
        ),
        ("Upgrade", problem("This is a WebSocket: request an upgrade.")),
        ("TooMany", problem_for_now("This address or credential has as many as it may.")),
        (
            "NotNow",
            problem_for_now(
                "Temporarily unavailable: over a limit, timed out, or the database is unreachable.",
            ),
        ),
        ("NotModified", json!({ "description": "The client's copy is current." })),
    ])
}

pub(super) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// Responses by status, with those that any operation may have.
pub(super) fn refusals(own: &[(&str, &str)]) -> Map<String, Value> {
    let common = [("405", "NotAllowed")];
    let all = own.iter().chain(&common);
    all.map(|(status, name)| {
        ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/{name}") }))
    })
    .collect()
}

/// An operation, of its parts.
pub(super) fn operation(
    (tag, id): (&str, &str),
    summary: &str,
    description: &str,
    parameters: Vec<Value>,
    mut responses: Map<String, Value>,
    (status, success): (&str, Value),
) -> Value {
    responses.insert(status.to_owned(), success);
    json!({
        "tags": [tag], "operationId": id, "summary": summary, "description": description,
        "parameters": parameters, "responses": responses
    })
}
