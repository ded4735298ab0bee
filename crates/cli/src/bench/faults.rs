//! The faults of all clients against the ledger, added up.

use serde::Serialize;

use super::{
    audience::Received,
    follows::Follows,
    ledger::{Ledger, disorder},
};

/// Faults over all clients. All but `foreign` are zero in a clean run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Faults {
    /// Answered with 201, and never delivered to a client.
    pub(super) lost: u64,
    /// Delivered to a client again.
    pub(super) twice: u64,
    /// Delivered in another order than written (per sensor and connection), or than to the first client.
    pub(super) out_of_order: u64,
    /// Ids in two 201s.
    pub(super) ids_answered_twice: u64,
    /// `gap`s that the gateway sent.
    pub(super) gaps: u64,
    /// Clients whose connection ended.
    pub(super) disconnected: u64,
    /// Arrivals of readings that no 201 of this run named: other writers', or of POSTs whose answer was lost.
    pub(super) foreign: u64,
    /// Why the first of those connections ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_end: Option<String>,
}

impl Faults {
    /// Adds up the accounts of all clients.
    pub(super) fn of(ledger: &Ledger, received: &[Received]) -> Self {
        let mut faults = Self { ids_answered_twice: ledger.repeated(), ..Self::default() };
        for client in received {
            faults.lost += client.account.missing() as u64;
            faults.twice += client.account.twice;
            faults.foreign += client.account.foreign;
            faults.out_of_order += client.account.out_of_order;
            faults.gaps += client.gaps;
            faults.disconnected += u64::from(client.ended.is_some());
            faults.first_end = faults.first_end.or_else(|| client.ended.clone());
        }
        // clients that follow different sensors have no order in common but that of each sensor
        if let Some((reference, others)) = received.split_first()
            && matches!(reference.follows, Follows::Everything)
        {
            let differs = |client: &&Received| client.account.order() != reference.account.order();
            faults.out_of_order += others
                .iter()
                .filter(differs)
                .map(|client| disorder(ledger, &reference.ids, &client.ids))
                .sum::<u64>();
        }
        faults
    }

    /// Whether every client got everything once and in order.
    pub(super) fn is_clean(&self) -> bool {
        self.lost + self.twice + self.out_of_order + self.ids_answered_twice == 0
    }

    /// For people, in a line.
    pub(super) fn text(&self) -> String {
        let Self { lost, twice, out_of_order, gaps, disconnected, foreign, .. } = self;
        let end = self.first_end.as_ref().map(|why| format!("; the first: {why}")).unwrap_or_default();
        format!(
            "{lost} lost, {twice} twice, {out_of_order} out of order, {gaps} gaps, {foreign} foreign, {disconnected} disconnected{end}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::ledger::{Account, Write};

    #[track_caller]
    fn check(clients: &[&[i64]], lost: u64, twice: u64, out_of_order: u64) {
        let writes: Vec<Write> = (1..=4).map(|id| Write { id, stream: id as u64, request: 0 }).collect();
        let ledger = Ledger::new(&writes);
        let received: Vec<Received> = clients
            .iter()
            .map(|ids| {
                let mut account = Account::new(&ledger, &Follows::Everything);
                ids.iter().for_each(|id| {
                    account.arrive(&ledger, *id);
                });
                Received { ids: ids.to_vec(), account, ..Received::default() }
            })
            .collect();
        let faults = Faults::of(&ledger, &received);
        assert_eq!((faults.lost, faults.twice, faults.out_of_order), (lost, twice, out_of_order));
        assert_eq!(faults.is_clean(), lost + twice + out_of_order == 0);
    }

    #[test]
    fn each_kind_of_fault_is_detected_at_any_client() {
        check(&[&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4]], 0, 0, 0);
        check(&[&[1, 2, 3, 4], &[1, 2, 4], &[1, 2, 3, 4]], 1, 0, 0);
        check(&[&[1, 2, 3, 4], &[1, 2, 3, 4, 4], &[1, 2, 3, 4]], 0, 1, 0);
        check(&[&[1, 2, 3, 4], &[1, 2, 3, 4], &[2, 1, 3, 4]], 0, 0, 1);
        check(&[&[1, 2, 3], &[1, 2, 3, 4]], 1, 0, 0);
        check(&[], 0, 0, 0);
    }
}
