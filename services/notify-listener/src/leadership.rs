//! The right to forward, as a value that is held, and how a replica comes by it.

use chassis::Life;
use lease::{Change, Elections};

use crate::standby::{Standby, Warm};

/// Held by the replica that forwards. Two holders at once are safe, by the tick's primary key and by
/// compare-and-append; the value is there so that normally there is one.
pub(crate) enum Leadership {
    /// For an installation with one replica: held until the process stops.
    Alone(Life),
    /// Won in an election.
    Won(lease::Leadership),
}

impl Leadership {
    /// What its ticks are signed with: the process, and the leadership's number if it has one.
    pub(crate) fn signature(&self, process: &str) -> String {
        match self {
            Self::Alone(_) => process.to_owned(),
            Self::Won(won) => format!("{process}@{}", won.term()),
        }
    }

    /// Whether it holds now.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Self::Alone(life) => !life.is_stopping(),
            Self::Won(won) => won.holds(),
        }
    }

    /// Whether it was taken while the API was unreachable, so that another may have it too: it ends when another is found.
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self, Self::Won(won) if won.by() == Change::Interim)
    }

    /// Returns when it is lost: no further step is begun then.
    pub(crate) async fn lost(&self) {
        match self {
            Self::Alone(life) => life.stopping().await,
            Self::Won(won) => won.lost().await,
        }
    }
}

/// How this replica comes to lead.
pub(crate) enum Candidacy {
    /// It is the only one.
    Alone(Life),
    /// It stands for election, and checks the leader's work meanwhile.
    Elected { elections: Elections, standby: Box<Standby> },
}

impl Candidacy {
    /// Waits until this replica leads; with the connections that it has kept open, if any.
    pub(crate) async fn lead(&mut self) -> (Leadership, Option<Warm>) {
        match self {
            Self::Alone(life) => (Leadership::Alone(life.clone()), None),
            Self::Elected { elections, standby } => {
                let won = loop {
                    tokio::select! {
                        biased;
                        won = elections.won() => break won,
                        () = standby.until_lag() => {}
                    }
                    elections.claim();
                };
                (Leadership::Won(won), standby.hand_over())
            }
        }
    }
}
