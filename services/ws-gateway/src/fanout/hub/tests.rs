//! What the hub does with a subscription to nothing.

use super::{
    model::{at, batch},
    *,
};

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
