//! The bare handler: axum takes the body and answers as ingest does, and nothing else.

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, header::CONTENT_TYPE},
    routing,
};
use tokio::{net::TcpListener, sync::oneshot};

use super::server::serve;
use crate::{
    args::Load,
    bench::{
        clock::Clock,
        evaluate::evaluate,
        ledger::Ledger,
        limits::Http,
        load::{Pace, Plan},
        socket::Address,
    },
};

/// The same load, as fast as it goes.
pub(super) async fn measure(load: &Load) -> anyhow::Result<Http> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let ingest = Address::parse(&format!("http://{}", listener.local_addr()?))?;
    let answer = answer(load.readings);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve(move || async move {
        let post = move |_: Bytes| {
            std::future::ready((StatusCode::CREATED, [(CONTENT_TYPE, "application/json")], answer.clone()))
        };
        let router = Router::new().route("/api/sensors/", routing::post(post));
        let stopped = async {
            // an error means that the sender was dropped: the same
            let _ = stopped.await;
        };
        tokio::select! {
            served = async { axum::serve(TcpListener::from_std(listener)?, router).await } => Ok(served?),
            () = stopped => Ok(()),
        }
    })?;
    let plan = Plan::new(ingest, load, Pace::Max, Clock::start());
    let sent = plan.run().await;
    drop(stop);
    server.join().ok().context("the bare handler died")??;
    let report = evaluate(&plan, &sent, &Ledger::default(), &[]);
    Ok(Http {
        connections: load.connections,
        readings_per_post: load.readings,
        posts_per_s: report.posts_per_s,
        readings_per_s: report.readings_per_s,
        post_ms: report.latency_ms.post,
    })
}

/// As long as ingest's answer.
fn answer(readings: u32) -> Bytes {
    if readings == 1 {
        let at = "2026-11-23T08:15:30.250000Z";
        return Bytes::from(format!(
            r#"{{"id":1000000,"sensor_id":"bench-0001","value":21.5,"timestamp":"{at}","metadata":{{"unit":"C"}},"created_at":"{at}","updated_at":"{at}","success":true,"message":"Sensor reading saved"}}"#
        ));
    }
    let ids: Vec<String> = (0..readings).map(|n| (1_000_000 + n).to_string()).collect();
    Bytes::from(format!(r#"{{"success":true,"message":"Sensor readings saved","ids":[{}]}}"#, ids.join(",")))
}
