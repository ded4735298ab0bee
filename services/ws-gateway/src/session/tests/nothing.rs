//! A subscription to nothing, which is what is left for those who may see none of what they asked for.

use super::*;
use crate::{
    outbox::Backlog,
    session::latest::{Held, Latest},
};

#[test]
fn a_subscription_to_nothing_moves_on_and_shows_nothing() {
    let latest = Latest::new(Some(1.0), Held::new(Backlog::new(usize::MAX, Arc::default())));
    for latest in [None, Some(latest)] {
        let (out, nothing) = (&mut Outbox::default(), Arc::new(Filter::Any(Vec::new())));
        let mut own = Subscription::new(1, Protocol::V1, (nothing.clone(), nothing), None, latest);
        // from the log all come, from the hub those that were selected
        let none = Selection::These([].into());
        own.send(&batch(at(5, 50), 6, &[51, 52]), &Selection::All, now().1, out);
        own.send(&batch(at(6, 52), 7, &[53]), &none, now().1, out);
        own.send_snapshot(&[], out);
        assert!(out.is_empty());
        let mark = own.mark(false).mark.unwrap();
        assert_eq!((mark.pos, mark.n), (at(7, 53), 0));
    }
}
