//! Whom a request is from.

use super::*;

async fn client(proxies: &[&str], headers: &str) -> String {
    let trusted_proxies = proxies.iter().map(|network| (*network).to_owned()).collect();
    let config = HttpConfig { trusted_proxies, ..HttpConfig::default() };
    let rig = Rig::configured(hello(), &config, Limits::default()).await;
    let request = format!("GET /client HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let received = rig.exchange(&request).await;
    received.rsplit("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn only_a_trusted_proxy_tells_of_another_client() {
    let told = "Forwarded: for=192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(client(&[], "").await, "127.0.0.1");
    assert_eq!(client(&[], told).await, "127.0.0.1");
    assert_eq!(client(&["10.0.0.0/8"], told).await, "127.0.0.1");
    assert_eq!(client(&["127.0.0.0/8"], told).await, "192.0.2.7");
    assert_eq!(client(&["127.0.0.0/8"], "").await, "127.0.0.1");
    assert_eq!(client(&["127.0.0.0/8"], "X-Forwarded-For: 192.0.2.7, nonsense\r\n").await, "127.0.0.1");
}
