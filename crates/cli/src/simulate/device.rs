//! One simulated device: a slow random walk around what its kind usually measures.

use rand::{Rng, RngExt};
use serde_json::json;

struct Kind {
    name: &'static str,
    unit: &'static str,
    usual: f64,
    /// How far it strays.
    spread: f64,
    digits: i32,
}

const KINDS: [Kind; 6] = [
    Kind { name: "temperature", unit: "°C", usual: 21.0, spread: 4.0, digits: 2 },
    Kind { name: "humidity", unit: "%", usual: 48.0, spread: 12.0, digits: 1 },
    Kind { name: "pressure", unit: "hPa", usual: 1013.0, spread: 9.0, digits: 1 },
    Kind { name: "co2", unit: "ppm", usual: 620.0, spread: 180.0, digits: 0 },
    Kind { name: "light", unit: "lx", usual: 340.0, spread: 120.0, digits: 0 },
    Kind { name: "power", unit: "W", usual: 95.0, spread: 40.0, digits: 1 },
];

const SITES: [&str; 4] = ["hall", "roof", "lab", "store"];

/// A device and the state of its random walk.
pub(super) struct Device {
    sensor_id: String,
    kind: &'static Kind,
    site: &'static str,
    /// In spreads from the usual value.
    stray: f64,
}

impl Device {
    /// Device `n`: kinds first, then sites, then numbers.
    pub(super) fn new(n: u32, random: &mut impl Rng) -> Self {
        let n = n as usize;
        let kind = &KINDS[n % KINDS.len()];
        let site = SITES[n / KINDS.len() % SITES.len()];
        let number = n / (KINDS.len() * SITES.len()) + 1;
        let sensor_id = format!("{site}-{}-{number}", kind.name);
        Self { sensor_id, kind, site, stray: random.random_range(-1.0..1.0) }
    }

    /// The next reading, as the body of a POST.
    pub(super) fn next(&mut self, random: &mut impl Rng) -> String {
        // a walk that tends back to its mean: it stays within about two spreads
        self.stray = self.stray * 0.99 + random.random_range(-0.1..0.1);
        let scale = 10_f64.powi(self.kind.digits);
        let value = (self.kind.usual + self.kind.spread * self.stray) * scale;
        json!({
            "sensor_id": self.sensor_id,
            "value": value.round() / scale,
            "metadata": { "unit": self.kind.unit, "site": self.site },
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use std::collections::HashSet;

    #[test]
    fn every_device_has_its_own_name_and_stays_plausible() {
        let mut random = StdRng::seed_from_u64(7);
        let mut devices: Vec<Device> = (0..60).map(|n| Device::new(n, &mut random)).collect();
        let names: HashSet<String> = devices.iter().map(|device| device.sensor_id.clone()).collect();
        assert_eq!(names.len(), 60);
        for device in &mut devices {
            for _ in 0..2_000 {
                let reading: serde_json::Value = serde_json::from_str(&device.next(&mut random)).unwrap();
                let value = reading["value"].as_f64().unwrap();
                assert!((value - device.kind.usual).abs() < 4.0 * device.kind.spread, "{reading}");
                assert_eq!(reading["metadata"]["unit"], device.kind.unit);
            }
        }
    }
}
