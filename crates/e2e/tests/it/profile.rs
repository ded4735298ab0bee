//! A CPU profile of a running service.

use e2e::{Plan, Stack, http};

const ONE: Plan = Plan { gateways: 1, listeners: 1 };
const PATH: &str = "/debug/pprof/profile?seconds=1";

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_taken_only_where_it_is_allowed_and_one_at_a_time() {
    let stack = Stack::start_with(ONE, &[("ingest:ROWCAST_ADMIN__PROFILE", "true")]).await.unwrap();
    assert_eq!(http::get(stack.gateways[0].admin, PATH).await.unwrap().status, 404);
    assert_eq!(http::get(stack.ingest.public(), PATH).await.unwrap().status, 404);
    let admin = stack.ingest.admin;
    assert_eq!(http::get(admin, "/debug/pprof/profile?seconds=3600").await.unwrap().status, 400);
    let (one, other) = tokio::join!(http::get(admin, PATH), http::get(admin, PATH));
    let mut statuses = [one.unwrap().status, other.unwrap().status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(http::get(admin, PATH).await.unwrap().status, 200, "the next may follow");
}
