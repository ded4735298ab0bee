//! Certificates that are replaced while the port serves.

use std::os::unix::fs::symlink;

use super::*;
use crate::faults::Faults;
use crate::readiness::Fault;

impl Rig {
    fn check(&self) -> Result<(), Fault> {
        self.rotation.as_ref().unwrap().check()
    }
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_open_ones_stay() {
    let (old, new) = (Pair::new(), Pair::new());
    let folder = Folder::with(&old);
    let rig = folder.rig(hello(), Limits::default()).await;
    let mut open = old.client().connect(&rig).await.unwrap();
    assert_eq!(rig.check(), Ok(()));
    folder.write(&new);
    assert_eq!(rig.check(), Ok(()));
    assert!(new.client().request(&rig, REQUEST).await.ends_with("hello"));
    old.client().connect(&rig).await.unwrap_err();
    open.write_all(REQUEST).await.unwrap();
    assert!(to_end(&mut open).await.ends_with("hello"));
}

#[tokio::test]
async fn authorities_of_clients_are_replaced_too() {
    let (pair, old, new) = (Pair::new(), Authority::new(), Authority::new());
    let folder = Folder::with(&pair);
    let mut config = folder.config();
    config.tls.client_ca = Some(folder.path("ca.crt"));
    std::fs::write(folder.path("ca.crt"), &old.certificate).unwrap();
    let rig = Rig::configured(hello(), &config, Limits::default()).await;
    let of = |authority: &Authority| Client { own: Some(authority.sign()), ..pair.client() };
    assert!(of(&old).request(&rig, REQUEST).await.ends_with("hello"));
    std::fs::write(folder.path("ca.crt"), &new.certificate).unwrap();
    assert_eq!(rig.check(), Ok(()));
    assert!(of(&new).request(&rig, REQUEST).await.ends_with("hello"));
    if let Ok(mut refused) = of(&old).connect(&rig).await {
        let _ = refused.write_all(REQUEST).await;
        refused.read_u8().await.unwrap_err();
    }
}

/// Kubernetes shows a Secret by symbolic links through a folder, which is itself one that is replaced.
#[tokio::test]
async fn a_link_that_leads_elsewhere_is_followed() {
    let (old, new) = (Pair::new(), Pair::new());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, pair) in [("..1", &old), ("..2", &new)] {
        std::fs::create_dir(path(name)).unwrap();
        std::fs::write(path(name).join("tls.crt"), &pair.certificate).unwrap();
        std::fs::write(path(name).join("tls.key"), &pair.key).unwrap();
    }
    symlink("..1", path("..data")).unwrap();
    symlink("..data/tls.crt", path("tls.crt")).unwrap();
    symlink("..data/tls.key", path("tls.key")).unwrap();
    let tls = TlsConfig { certificate: Some(path("tls.crt")), key: Some(path("tls.key")), client_ca: None };
    let rig = Rig::configured(hello(), &HttpConfig { tls, ..HttpConfig::default() }, Limits::default()).await;
    old.client().connect(&rig).await.unwrap();
    symlink("..2", path("..tmp")).unwrap();
    std::fs::rename(path("..tmp"), path("..data")).unwrap();
    assert_eq!(rig.check(), Ok(()));
    new.client().connect(&rig).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_leaves_the_old_certificate_and_is_a_fault_from_the_second_check_on() {
    let (old, new) = (Pair::new(), Pair::new());
    let folder = Folder::with(&old);
    let rig = folder.rig(hello(), Limits::default()).await;
    let (certificate, key) = (folder.path("tls.crt"), folder.path("tls.key"));
    for (what, shown) in [
        (Some((&certificate, new.certificate.as_str())), "cannot be used with its key"),
        (Some((&certificate, "")), "has no certificate in PEM"),
        (Some((&key, "nonsense")), "has no private key in PEM"),
        (None, "cannot be read"),
    ] {
        match what {
            Some((file, text)) => std::fs::write(file, text).unwrap(),
            None => std::fs::remove_file(&key).unwrap(),
        }
        assert_eq!(rig.check(), Ok(()), "{shown}: it may be about to be completed");
        for _ in 0..2 {
            match rig.check() {
                Err(Fault::Shared(why)) => assert!(why.contains(shown), "{why}"),
                other => panic!("{shown}: {other:?}"),
            }
        }
        assert!(old.client().request(&rig, REQUEST).await.ends_with("hello"), "{shown}");
        folder.write(&old);
        assert_eq!(rig.check(), Ok(()));
    }
    folder.write(&new);
    assert_eq!(rig.check(), Ok(()));
    new.client().connect(&rig).await.unwrap();
}

#[test]
fn faults_of_the_files_are_those_of_their_keys() {
    let (pair, other) = (Pair::new(), Pair::new());
    let folder = Folder::with(&pair);
    let check = |change: &dyn Fn(&mut TlsConfig), key: &str, fault: &str| {
        let mut config = folder.config();
        change(&mut config.tls);
        let mut faults = Faults::default();
        config.validate(&[], &mut faults);
        let faults = faults.to_string();
        assert!(faults.starts_with(&format!("{key}: ")) && faults.contains(fault), "{faults}");
        assert_eq!(faults.lines().count(), 1, "{faults}");
    };
    let mut faults = Faults::default();
    folder.config().validate(&[], &mut faults);
    assert_eq!(faults.to_string(), "");
    let missing = "is missing: the rest of http.tls is of no use without it";
    check(&|tls| tls.key = None, "http.tls.key", missing);
    check(&|tls| tls.certificate = None, "http.tls.certificate", missing);
    check(&|tls| tls.key = Some(folder.path("none")), "http.tls.key", "none cannot be read: No such file");
    check(&|tls| tls.key = tls.certificate.clone(), "http.tls.key", "has no private key in PEM");
    check(&|tls| tls.certificate = tls.key.clone(), "http.tls.certificate", "has no certificate in PEM");
    check(&|tls| tls.client_ca = tls.key.clone(), "http.tls.client_ca", "has no certificate in PEM");
    let foreign = folder.path("foreign.key");
    std::fs::write(&foreign, &other.key).unwrap();
    check(
        &|tls| tls.key = Some(foreign.clone()),
        "http.tls.certificate",
        "tls.crt cannot be used with its key",
    );
}
