//! What the hub does with a subscription to nothing.

use store::log::TickReadings;
use time::macros::datetime;
use wire::{Epoch, Reading, Tick};

use super::*;

fn at(tick: i64) -> Position {
    Position::new(Epoch(1), Tick(tick), tick)
}

fn batch(tick: i64) -> Arc<Batch> {
    let time = datetime!(2026-11-23 08:00 UTC);
    let reading = Reading {
        id: tick,
        sensor_id: "a".to_owned(),
        value: 1.0,
        timestamp: time,
        metadata: "{}".to_owned(),
        created_at: time,
        updated_at: time,
    };
    let readings = TickReadings::new(Epoch(1), Tick(tick), time, vec![reading]);
    Arc::new(Batch::from_log(at(tick - 1), &readings).unwrap())
}

#[test]
fn a_subscription_to_nothing_is_attached_like_others_and_gets_no_delivery() {
    let (hub, mailbox, nothing) = (Hub::new(1 << 20), Mailbox::new(), Arc::new(Filter::Any(Vec::new())));
    hub.start_at(at(0));
    for sub in [1, 2] {
        assert!(
            matches!(hub.attach(&mailbox, sub, &nothing, None), Attach::Live { head, .. } if head == at(0))
        );
    }
    assert_eq!(hub.attached().get(), 2);
    assert_eq!(hub.publish(batch(1)), 0);
    assert!(mailbox.take().deliveries.is_empty());
    hub.detach(mailbox.session, 1);
    hub.leave(mailbox.session);
    assert_eq!(hub.attached().get(), 0);
}
