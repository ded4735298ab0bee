//! The Lease object in the API.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::timeout;

use crate::elector::{Record, Seen, Version};

/// How long a connection to the API may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a request to the API failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a pod's own account nor a kubeconfig.
    #[error("no access to a Kubernetes API")]
    Access(#[source] kube::config::InferConfigError),
    /// The request failed.
    #[error("the Kubernetes API refused or failed")]
    Api(#[source] Box<kube::Error>),
    /// It took too long.
    #[error("the Kubernetes API did not answer within {0:?}")]
    Silent(Duration),
}

/// The outcome of a write.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    Written(Seen),
    /// The object is in another state.
    Refused,
}

/// One Lease object; each request is bounded in time.
#[derive(Clone)]
pub(crate) struct Object {
    api: Api<Lease>,
    client: Client,
    namespace: String,
    name: String,
    within: Duration,
}

impl Object {
    /// With the pod's own account, or a kubeconfig's; the namespace is the account's own if none is given.
    pub(crate) async fn connect(
        namespace: Option<&str>,
        name: &str,
        within: Duration,
    ) -> Result<Self, Error> {
        let mut config = kube::Config::infer().await.map_err(Error::Access)?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        let client = Client::try_from(config).map_err(|error| Error::Api(Box::new(error)))?;
        let api = Api::namespaced(client.clone(), &namespace);
        Ok(Self { api, client, namespace, name: name.to_owned(), within })
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its state; `None` where there is no such object.
    pub(crate) async fn read(&self) -> Result<Option<Seen>, Error> {
        let read = self.api.get_opt(&self.name);
        let lease = timeout(self.within, read).await.map_err(|_| Error::Silent(self.within))?;
        Ok(lease.map_err(|error| Error::Api(Box::new(error)))?.map(seen))
    }

    /// Replaces a state of it, or creates it where there was none. PUT does both: the API server can check the object's
    /// name against a Role in either case, which it cannot for POST.
    pub(crate) async fn write(&self, over: Option<Version>, record: Record) -> Result<WriteOutcome, Error> {
        let replaces = over.is_some();
        let lease = self.lease(over, record);
        let (name, how) = (self.name.as_str(), PostParams::default());
        let write = self.api.replace(name, &how, &lease);
        match timeout(self.within, write).await.map_err(|_| Error::Silent(self.within))? {
            Ok(lease) => Ok(WriteOutcome::Written(seen(lease))),
            // in another state, or existing although it was to be created: only reading shows which
            Err(kube::Error::Api(status)) if matches!(status.code, 409 | 422) => Ok(WriteOutcome::Refused),
            Err(kube::Error::Api(status)) if status.code == 404 && replaces => Ok(WriteOutcome::Refused),
            Err(error) => Err(Error::Api(Box::new(error))),
        }
    }

    /// One item each time that the Lease is released.
    pub(crate) fn vacancies(&self) -> impl Stream<Item = ()> + Send + use<> {
        let changes = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        changes.filter_map(|change| async {
            // what a watch misses is found by reading
            let vacant = match change.ok()? {
                Some(lease) => seen(lease).record.holder.is_none(),
                None => true,
            };
            vacant.then_some(())
        })
    }

    fn lease(&self, over: Option<Version>, record: Record) -> Lease {
        let now = MicroTime(Timestamp::now());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                resource_version: over.map(|Version(version)| version),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: record.holder,
                lease_transitions: Some(i32::try_from(record.term).unwrap_or(i32::MAX)),
                lease_duration_seconds: Some(i32::try_from(record.duration.as_secs()).unwrap_or(i32::MAX)),
                // for people; no candidate uses it
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn seen(lease: Lease) -> Seen {
    let version = Version(lease.resource_version().unwrap_or_default());
    let spec = lease.spec.unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    let record = Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        term: spec.lease_transitions.and_then(|term| u64::try_from(term).ok()).unwrap_or_default(),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
    };
    Seen { version, record }
}
