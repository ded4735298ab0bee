//! Events on a pod when it acquires the Lease: `kubectl describe pod` shows which pod led when.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::{sync::mpsc, time::timeout};

use crate::{config::Config, elector::Change, object::Object};

/// How long sending an event may take, so that later ones do not queue up behind it.
const EVENT_TIMEOUT: Duration = Duration::from_secs(5);

/// A leadership that has begun.
#[derive(Debug)]
pub(crate) struct Takeover {
    pub(crate) term: u64,
    pub(crate) by: Change,
    pub(crate) previous: Option<String>,
}

impl Takeover {
    fn note(&self, pod: &str) -> String {
        let previous = self.previous.as_deref().unwrap_or("nobody");
        let how = match self.by {
            Change::Free => "nobody held it".to_owned(),
            Change::Expired => format!("{previous} did not renew it in time"),
            Change::Own => "an earlier run of this pod held it".to_owned(),
            Change::Claimed => format!("{previous} held it but was stalled"),
            Change::Interim => "the Kubernetes API is unreachable".to_owned(),
        };
        format!("{pod} leads, term {}: {how}", self.term)
    }
}

/// Records an event for each takeover until the sender is dropped.
pub(crate) async fn announce(
    object: Object,
    config: Config,
    pod: String,
    mut takeovers: mpsc::Receiver<Takeover>,
) {
    let of_pod = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(pod.clone()),
        namespace: Some(object.namespace().to_owned()),
        uid: config.pod_uid,
        ..ObjectReference::default()
    };
    let of_lease = ObjectReference {
        api_version: Some("coordination.k8s.io/v1".to_owned()),
        kind: Some("Lease".to_owned()),
        name: Some(object.name().to_owned()),
        namespace: Some(object.namespace().to_owned()),
        ..ObjectReference::default()
    };
    while let Some(takeover) = takeovers.recv().await {
        let event = Event {
            type_: EventType::Normal,
            reason: "TookLease".to_owned(),
            note: Some(takeover.note(&pod)),
            action: "Lead".to_owned(),
            secondary: Some(of_lease.clone()),
        };
        let reporter = Reporter { controller: "rowcast/lease".to_owned(), instance: Some(pod.clone()) };
        // a new one each time: it would count takeovers up in one event, with the first one's note
        let recorder = Recorder::new(object.client(), reporter);
        match timeout(EVENT_TIMEOUT, recorder.publish(&event, &of_pod)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "takeover event not recorded");
            }
            Err(_) => tracing::debug!("takeover event not recorded: the Kubernetes API did not answer"),
        }
    }
}
