//! Whether a client may speak now: the buckets of its connection and its address.

use core::time::Duration;

use super::Server;
use crate::config::{Limits, RateLimit};
use crate::dialect::Refusal;
use crate::error::ErrorCode;
use crate::limits::rate::{Bucket, Escalation, Quota, ceil_ms};
use crate::session::connection::Session;

/// The quotas of a config.
#[derive(Debug)]
pub(super) struct Quotas {
    enabled: bool,
    messages: Quota,
    pings: Quota,
    refusals: Quota,
    bad_messages: Quota,
    unknown_types: Option<Quota>,
    pub(super) address: Quota,
    pub(super) deliveries: Quota,
    /// After this long any address's buckets are full again.
    pub(super) forget_after: Duration,
}

/// Why something was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) retry_after_ms: Option<u64>,
}

/// What a refused request comes to beside the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sanction {
    None,
    /// Nothing is read for so long.
    Throttle(Duration),
    Close,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            retry_after_ms: None,
        }
    }
}

impl Quotas {
    pub(super) fn new(rate: &RateLimit, limits: &Limits) -> Self {
        let per_ms = rate.per_ms;
        Self {
            enabled: rate.enabled,
            messages: Quota::new(rate.messages, per_ms),
            pings: Quota::new(rate.pings, per_ms),
            refusals: Quota::new(rate.refusals, per_ms),
            bad_messages: Quota::new(limits.max_bad_messages, MINUTE_MS),
            unknown_types: limits
                .max_unknown_types
                .map(|count| Quota::new(count, MINUTE_MS)),
            address: Quota::new(rate.messages.saturating_mul(rate.address_factor), per_ms),
            deliveries: Quota::new(rate.deliveries_per_second, 1_000),
            forget_after: Duration::from_millis(per_ms.max(1_000)),
        }
    }
}

impl Server {
    /// Charges a message that causes `deliveries` deliveries to the client's buckets: all of them or none.
    pub(super) fn admit(&mut self, index: u32, deliveries: usize) -> Result<(), Refused> {
        if !self.quotas.enabled {
            return Ok(());
        }
        let now = self.now.mono;
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        let at = connection.address;
        let (Some(session), Some(address)) = (connection.session_mut(), self.addresses.get_mut(at))
        else {
            return Ok(());
        };
        let deliveries = u32::try_from(deliveries).unwrap_or(u32::MAX);
        let charged = (|| {
            let own = self.quotas.messages.check(session.messages, now, 1)?;
            let shared = self.quotas.address.check(address.messages, now, 1)?;
            let fan_out = match deliveries {
                0 => address.deliveries,
                cost => self
                    .quotas
                    .deliveries
                    .check(address.deliveries, now, cost)?,
            };
            Ok::<_, Duration>((own, shared, fan_out))
        })();
        match charged {
            Ok((own, shared, fan_out)) => {
                session.messages = own;
                address.messages = shared;
                address.deliveries = fan_out;
                self.note_charge(at, 1, deliveries);
                Ok(())
            }
            Err(wait) => Err(rate_limited(wait)),
        }
    }

    /// Charges deliveries that a client has caused already.
    pub(super) fn charge_deliveries(&mut self, index: u32, deliveries: usize) {
        let Some(address) = self.connections.get(index).map(|c| c.address) else {
            return;
        };
        let cost = u32::try_from(deliveries).unwrap_or(u32::MAX);
        let (now, quota) = (self.now.mono, self.quotas.deliveries);
        if self.quotas.enabled
            && let Some(entry) = self.addresses.get_mut(address)
        {
            entry.deliveries = quota.take(entry.deliveries, now, cost);
            self.note_charge(address, 0, cost);
        }
    }

    /// Charges a ping, or any WebSocket control frame.
    pub(super) fn admit_ping(&mut self, index: u32) -> Result<(), Refused> {
        if !self.quotas.enabled {
            return Ok(());
        }
        let quota = self.quotas.pings;
        self.charge(index, quota, |session| &mut session.pings)
            .map_err(rate_limited)
    }

    /// Counts a refused request against the client: what follows from it. `wait`: it came that much too early.
    pub(super) fn count_refusal(&mut self, index: u32, wait: Option<Duration>) -> Sanction {
        let (quota, now) = (self.quotas.refusals, self.now.mono);
        let tolerated = self.config.rate_limit.throttle_after;
        let connection = self.connections.get_mut(index);
        let session = connection.and_then(|connection| connection.session_mut());
        let Some(session) = session.filter(|_| self.quotas.enabled) else {
            return Sanction::None;
        };
        let wait = wait.map(|wait| wait.min(LONGEST_THROTTLE));
        let refusals = &mut session.extra_mut().faults.refusals;
        match (quota.escalate(*refusals, now, tolerated, wait), wait) {
            (Escalation::Throttle(left), Some(wait)) => {
                *refusals = left;
                Sanction::Throttle(wait)
            }
            (Escalation::Tell(left) | Escalation::Throttle(left), _) => {
                *refusals = left;
                Sanction::None
            }
            (Escalation::Close, _) => Sanction::Close,
        }
    }

    /// Counts a malformed message against the client; `false` when it has sent too many.
    pub(super) fn tolerates_bad_message(&mut self, index: u32) -> bool {
        let quota = self.quotas.bad_messages;
        self.config.limits.max_bad_messages > 0
            && self
                .charge(index, quota, |session| {
                    &mut session.extra_mut().faults.bad_messages
                })
                .is_ok()
    }

    /// Counts an unknown type against the client; `false` when it has sent too many.
    pub(super) fn tolerates_unknown_type(&mut self, index: u32) -> bool {
        self.quotas.unknown_types.is_none_or(|quota| {
            self.config.limits.max_unknown_types != Some(0)
                && self
                    .charge(index, quota, |session| {
                        &mut session.extra_mut().faults.unknown_types
                    })
                    .is_ok()
        })
    }

    fn charge(
        &mut self,
        index: u32,
        quota: Quota,
        bucket: impl Fn(&mut Session) -> &mut Bucket,
    ) -> Result<(), Duration> {
        let now = self.now.mono;
        let connection = self.connections.get_mut(index);
        let Some(session) = connection.and_then(|connection| connection.session_mut()) else {
            return Ok(());
        };
        let bucket = bucket(session);
        *bucket = quota.check(*bucket, now, 1)?;
        Ok(())
    }
}

fn rate_limited(wait: Duration) -> Refused {
    Refused {
        refusal: Refusal {
            code: ErrorCode::RateLimited,
            message: "Too many messages: wait as long as retryAfterMs says",
        },
        retry_after_ms: Some(ceil_ms(wait)),
    }
}

const MINUTE_MS: u64 = 60_000;

/// Nobody is left unread for longer: while it is, nothing shows whether it is still there.
const LONGEST_THROTTLE: Duration = Duration::from_secs(10);
