//! Who comes to a live door: by a credential in the head, by a token as a subprotocol, or by a ticket in the query.

use access::{Caller, Denial, has_credential};
use auth::Ticket;
use chassis::{Client, Problem, Query};
use http::HeaderMap;

use super::tickets::unavailable;
use crate::gateway::App;

/// The parameter with a ticket.
const TICKET: &str = "ticket";

/// Who comes with this; none if there is no credential at all and one is needed.
///
/// # Errors
/// When a credential is not valid, there are several, or it may not read.
pub(super) async fn arriving(
    app: &App,
    (client, headers): (Client, &HeaderMap),
    subprotocol: Option<&str>,
    query: &str,
) -> Result<Option<Caller>, Problem> {
    let query = Query::parse(query);
    let mut tickets = query.all(TICKET);
    let ticket = tickets.next().filter(|_| !app.gate.is_open());
    let ways = [ticket.is_some(), tickets.next().is_some(), subprotocol.is_some(), has_credential(headers)];
    if !app.gate.is_open() && ways.into_iter().filter(|is_used| *is_used).count() > 1 {
        return Err(Denial::Ambiguous.into());
    }
    let caller = match (ticket, subprotocol) {
        (Some(ticket), _) => by_ticket(app, ticket).await?,
        (None, Some(token)) => app.gate.identify(token).await?,
        (None, None) if app.gate.awaits(headers) => return Ok(None),
        (None, None) => app.gate.admit(headers).await?,
    };
    caller.reader()?;
    let caller = caller.at(Some(client.counted_as()));
    app.gate.take_request(&caller)?;
    Ok(Some(caller))
}

/// A text that cannot be a ticket is not asked for.
async fn by_ticket(app: &App, text: &str) -> Result<Caller, Problem> {
    let holder = match Ticket::parse(text) {
        Ok(ticket) => app.tickets.redeem(&ticket).await.map_err(|_| unavailable())?,
        Err(_) => None,
    };
    Ok(app.gate.readmit(holder)?)
}
