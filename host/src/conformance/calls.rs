//! The calls of a backend that take and return whole values.

use bytes::Bytes;

use super::Way;
use super::shown::{info_shown, page_shown, shown, shown_bytes};
use super::step::Step;
use super::subject::{Answer, Subject, info_of, kind, not_offered};
use crate::Mode;
use crate::bindings::inventory::Page;
use crate::bindings::maintenance::{Findings, SweepReport};
use crate::bindings::ordered::OrderedPage;
use crate::bindings::types;
use crate::error::{ErrorKind, Operation};

impl Subject {
    pub(super) fn put(&self, key: &str, data: impl AsRef<[u8]>) -> Answer<()> {
        let data = data.as_ref();
        let answer = match self.way {
            Way::Host => self.host().put(key, data.to_vec()).map(drop).map_err(kind),
            _ => self.run(Operation::Put, key, async |accessor, exports| {
                let answer = exports.store.call_put(accessor, key.into(), data.to_vec()).await?;
                Ok(answer.map_err(ErrorKind::from))
            }),
        };
        let step = Step::Put(key.into(), Bytes::copy_from_slice(data));
        self.record(step, answer, |()| "ok".into())
    }

    pub(super) fn get(&self, key: &str) -> Answer<Vec<u8>> {
        let answer = match self.way {
            Way::Host => self.host().get(key).map(Vec::from).map_err(kind),
            _ => self.run(Operation::Get, key, async |accessor, exports| {
                let answer = exports.store.call_get(accessor, key.into()).await?;
                Ok(answer.map_err(ErrorKind::from))
            }),
        };
        self.record(Step::Get(key.into()), answer, |data| format!("ok({})", shown_bytes(data)))
    }

    pub(super) fn delete(&self, key: &str) -> Answer<()> {
        let answer = match self.way {
            Way::Host => self.host().delete(key).map_err(kind),
            _ => self.run(Operation::Delete, key, async |accessor, exports| {
                let answer = exports.store.call_delete(accessor, key.into()).await?;
                Ok(answer.map_err(ErrorKind::from))
            }),
        };
        self.record(Step::Delete(key.into()), answer, |()| "ok".into())
    }

    pub(super) fn delete_if(&self, key: &str, version: &str) -> Answer<()> {
        let answer = match self.way {
            Way::Host => self.host().delete_if(key, version).map_err(kind),
            _ => self.run(Operation::Delete, key, async |accessor, exports| {
                let Some(conditional) = &exports.conditional else { return Ok(Err(not_offered())) };
                let answer = conditional.call_delete_if(accessor, key.into(), version.into());
                Ok(answer.await?.map_err(ErrorKind::from))
            }),
        };
        let step = Step::DeleteIf { key: key.into(), version: version.into() };
        self.record(step, answer, |()| "ok".into())
    }

    pub(super) fn copy(&self, source: &str, target: &str, mode: &Mode) -> Answer<types::Info> {
        let answer = match self.way {
            Way::Host => {
                let copied = self.host().copy_with(source, target, mode.clone());
                copied.map(|info| info_of(&info)).map_err(kind)
            }
            _ => self.run(Operation::Copy, target, async |accessor, exports| {
                let Some(copying) = &exports.copying else { return Ok(Err(not_offered())) };
                let (source, target) = (source.to_owned(), target.to_owned());
                let answer = copying.call_copy_artifact(accessor, source, target, mode.into());
                Ok(answer.await?.map_err(ErrorKind::from))
            }),
        };
        let step = Step::Copy { source: source.into(), key: target.into(), mode: mode.clone() };
        self.record(step, answer, info_shown)
    }

    pub(super) fn stat(&self, key: &str) -> Answer<types::Info> {
        let answer = match self.way {
            Way::Host => self.host().stat(key).map(|info| info_of(&info)).map_err(kind),
            _ => self.run(Operation::Stat, key, async |accessor, exports| {
                let Some(inventory) = &exports.inventory else { return Ok(Err(not_offered())) };
                let answer = inventory.call_stat(accessor, key.into()).await?;
                Ok(answer.map_err(ErrorKind::from))
            }),
        };
        self.record(Step::Stat(key.into()), answer, info_shown)
    }

    /// One page of a listing.
    pub(super) fn page(&self, prefix: &str, cursor: Option<&str>, limit: u32) -> Answer<Page> {
        let answer = self.run(Operation::List, prefix, async |accessor, exports| {
            let Some(inventory) = &exports.inventory else { return Ok(Err(not_offered())) };
            let cursor = cursor.map(str::to_owned);
            let answer =
                inventory.call_list_artifacts(accessor, prefix.into(), cursor, limit).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        let cursor = cursor.map(str::to_owned);
        let step = Step::List { prefix: prefix.into(), cursor, limit };
        self.record(step, answer, |page| {
            let keys = page.entries.iter().map(|entry| shown(&entry.key));
            page_shown(keys.collect(), page.next.as_deref())
        })
    }

    /// One page of an ordered listing.
    pub(super) fn ordered(
        &self,
        prefix: &str,
        after: Option<&str>,
        delimiter: Option<&str>,
        limit: u32,
    ) -> Answer<OrderedPage> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let answer = self.run(Operation::List, prefix, async |accessor, exports| {
            let Some(ordered) = &exports.ordered else { return Ok(Err(not_offered())) };
            let (after, delimiter) = (owned(after), owned(delimiter));
            let answer =
                ordered.call_list_ordered(accessor, prefix.into(), after, delimiter, limit).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        let (after, delimiter) = (owned(after), owned(delimiter));
        let step = Step::ListOrdered { prefix: prefix.into(), after, delimiter, limit };
        self.record(step, answer, |page| {
            let keys = page.entries.iter().map(|entry| &entry.key);
            let names = keys.chain(&page.prefixes).map(|name| shown(name));
            page_shown(names.collect(), page.next.as_deref())
        })
    }

    /// One page of an audit.
    pub(super) fn audit(&self, cursor: Option<&str>, limit: u32) -> Answer<Findings> {
        let answer = self.run(Operation::Audit, "", async |accessor, exports| {
            let Some(upkeep) = &exports.maintenance else { return Ok(Err(not_offered())) };
            let cursor = cursor.map(str::to_owned);
            let answer = upkeep.call_audit(accessor, cursor, limit).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        let step = Step::Audit { cursor: cursor.map(str::to_owned), limit };
        self.record(step, answer, |page| {
            let items = page.items.iter().map(|item| format!("{:?} {:?}", item.kind, item.name));
            page_shown(items.collect(), page.next.as_deref())
        })
    }

    pub(super) fn sweep(&self, older_than_seconds: u64) -> Answer<SweepReport> {
        let answer = self.run(Operation::Sweep, "", async |accessor, exports| {
            let Some(upkeep) = &exports.maintenance else { return Ok(Err(not_offered())) };
            let answer = upkeep.call_sweep(accessor, older_than_seconds).await?;
            Ok(answer.map_err(ErrorKind::from))
        });
        self.record(Step::Sweep(older_than_seconds), answer, |report| {
            format!("ok(removed {}, kept {})", report.removed, report.kept)
        })
    }
}
