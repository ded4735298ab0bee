//! Mappings that are ready: of senders whose payloads have one form for everybody.

use schemars::JsonSchema;
use serde::Deserialize;

/// A sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preset {
    /// Webhooks of The Things Stack: uplinks with a decoded payload.
    TheThingsStack,
    /// Actions of Shelly devices: GET with what the device measures as parameters; and what its scripts POST.
    Shelly,
    /// Status notifications of Shelly devices of the second generation and later, as they are sent.
    ShellyRpc,
    /// A state of Home Assistant, as its templates write it.
    HomeAssistant,
}

/// What a preset sets; the hook's own keys go before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defaults {
    pub(super) sensor: Option<&'static str>,
    pub(super) value: Option<&'static str>,
    pub(super) values: Option<&'static str>,
    pub(super) time: &'static str,
    pub(super) metadata: &'static [&'static str],
    pub(super) when: &'static [&'static str],
    pub(super) query: bool,
}

impl Preset {
    pub(super) fn defaults(self) -> Defaults {
        match self {
            Self::TheThingsStack => Defaults {
                sensor: Some("{/end_device_ids/device_id}/{field}"),
                values: Some("/uplink_message/decoded_payload"),
                // when the network received it
                time: "/uplink_message/received_at",
                metadata: &[
                    "application=/end_device_ids/application_ids/application_id",
                    "dev_eui=/end_device_ids/dev_eui",
                    "f_port=/uplink_message/f_port",
                    "f_cnt=/uplink_message/f_cnt",
                    "rssi=/uplink_message/rx_metadata/0/rssi",
                    "snr=/uplink_message/rx_metadata/0/snr",
                ],
                // joins, acknowledgements and empty uplinks have no payload to decode
                when: &["/uplink_message/frm_payload"],
                ..Defaults::default()
            },
            Self::Shelly => Defaults {
                sensor: Some("{/id}/{field}"),
                values: Some(""),
                query: true,
                ..Defaults::default()
            },
            Self::ShellyRpc => Defaults {
                sensor: Some("{/src}/{field}"),
                values: Some("/params"),
                time: "/params/ts",
                // events have no values
                when: &["/method=NotifyStatus", "/method=NotifyFullStatus"],
                ..Defaults::default()
            },
            Self::HomeAssistant => Defaults {
                sensor: Some("{/entity_id}"),
                value: Some("/state"),
                time: "/last_updated",
                metadata: &[
                    "name=/attributes/friendly_name",
                    "unit=/attributes/unit_of_measurement",
                    "class=/attributes/device_class",
                ],
                ..Defaults::default()
            },
        }
    }
}
