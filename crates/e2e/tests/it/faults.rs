//! Promise 2 and the invariants: whatever is killed, cut or wiped, every committed reading arrives once at every client,
//! in one order. Every test runs three devices and a psql against two gateways with two clients each.

use e2e::{Fault, Plan, Stack, Trial, fault::Link};

async fn check(plan: Plan, faults: &[Fault]) {
    let mut trial = Trial::begin(Stack::start(plan).await.unwrap()).await;
    for fault in faults {
        trial.inject(*fault).await.unwrap();
    }
    let summary = trial.end().await.unwrap();
    assert!(summary.readings > 20 && summary.clients == 4, "{summary:?}");
}

const ONE: Plan = Plan { gateways: 2, listeners: 1 };
const TWO: Plan = Plan { gateways: 2, listeners: 2 };

macro_rules! survives {
    ($($name:ident: $plan:expr, $faults:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            check($plan, &$faults).await;
        })*
    };
}

survives! {
    a_killed_listener_loses_nothing: ONE, [Fault::ListenerKilled, Fault::ListenerKilled];
    a_listener_stopped_past_its_successor_duplicates_nothing: TWO, [Fault::ListenerStopped, Fault::ListenerStopped];
    two_listeners_at_once_are_one: TWO, [Fault::ListenerKilled, Fault::HugeTransaction];
    a_redis_that_comes_back_empty_loses_nothing: ONE, [Fault::RedisKilled, Fault::RedisKilled];
    a_flushed_redis_loses_nothing: ONE, [Fault::RedisFlushed, Fault::RedisFlushed];
    a_stream_rolled_back_by_hand_is_made_whole: ONE, [Fault::TailRolledBack, Fault::TailRolledBack];
    a_lost_listen_session_costs_only_time: ONE, [Fault::ListenSessionKilled];
    without_its_trigger_the_table_is_polled: ONE, [Fault::TriggerDisabled];
    a_crashed_postgres_loses_nothing_it_acknowledged: ONE, [Fault::PostgresCrashed];
    a_long_transaction_holds_up_only_itself: ONE, [Fault::LongTransaction];
    ids_that_commit_in_reverse_all_arrive: ONE, [Fault::ReverseCommits, Fault::ReverseCommits];
    fifty_thousand_rows_of_one_transaction_arrive: ONE, [Fault::HugeTransaction];
    a_row_of_sixty_kilobytes_arrives: ONE, [Fault::BigRow];
    a_killed_gateway_s_clients_resume: ONE, [Fault::GatewayKilled, Fault::GatewayKilled];
    frozen_links_of_the_listener_lose_nothing: ONE, [Fault::Frozen(Link::ListenerPostgres), Fault::Frozen(Link::ListenerRedis)];
    frozen_links_of_the_gateway_lose_nothing: ONE, [Fault::Frozen(Link::GatewayPostgres), Fault::Frozen(Link::GatewayRedis)];
    a_frozen_link_of_ingest_loses_nothing: ONE, [Fault::Frozen(Link::IngestPostgres)];
    cut_links_of_the_listener_lose_nothing: ONE, [Fault::Cut(Link::ListenerPostgres), Fault::Cut(Link::ListenerRedis)];
    cut_links_of_the_gateway_lose_nothing: ONE, [Fault::Cut(Link::GatewayPostgres), Fault::Cut(Link::GatewayRedis)];
    a_cut_link_of_ingest_loses_nothing: ONE, [Fault::Cut(Link::IngestPostgres)];
    redis_wiped_while_the_listener_is_down_loses_nothing: ONE, [Fault::RedisFlushed, Fault::ListenerKilled, Fault::GatewayKilled];
}
