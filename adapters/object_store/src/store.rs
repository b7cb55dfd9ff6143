//! The trait that everything else of `object_store` stands on.

use artifact_store::{ErrorKind, Info, Interface, ListOptions, Mode, ReadOptions, WriteOptions};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::{DELIMITER, Path};
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};

use crate::error::{failed, failed_at, generic, not_implemented};
use crate::listing::{folder, list_result, objects, pages};
use crate::{ArtifactObjectStore, attributes, meta};

/// How many objects are deleted at the same time.
const DELETES: usize = 10;

#[async_trait]
impl ObjectStore for ArtifactObjectStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let mode = match options.mode {
            PutMode::Overwrite => Mode::Overwrite,
            PutMode::Create => Mode::Create,
            PutMode::Update(update) => {
                let e_tag = update.e_tag.ok_or_else(|| generic("an update needs an entity tag"))?;
                Mode::Replace(meta::version(&e_tag).ok_or_else(|| not_current(location, &e_tag))?)
            }
        };
        let attributes = attributes::to_artifact(&options.attributes)?;
        let options = WriteOptions::default().mode(mode).attributes(attributes);
        let put = self.store.put_with(location.as_ref(), Bytes::from(payload), options);
        Ok(meta::put_result(&put.await.map_err(failed)?))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.begin(location, &options)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.version.is_some() {
            return Err(not_implemented("to get an older version"));
        }
        if options.head {
            let info = self.head_of(location).await?;
            return result(location, &info, &options, stream::empty().boxed());
        }
        let part = part(options.range.as_ref())?;
        let reader = self.store.read(location.as_ref(), part).await.map_err(failed)?;
        let info = reader.info().clone();
        result(location, &info, &options, reader.map_err(failed).boxed())
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.store.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                store.delete(location.as_ref()).await.map_err(failed)?;
                Ok(location)
            }
        };
        locations.map(delete).buffered(DELETES).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let entries = self.store.list(&folder(prefix)).map_err(failed);
        entries.try_filter_map(async |entry| Ok(meta::of_entry(&entry))).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        // Where the order is another one, each page would cost a whole listing.
        if !self.store.offers(Interface::Ordered) {
            let all = self.list(prefix);
            return all.try_filter(move |object| ready(object.location > offset)).boxed();
        }
        let options = ListOptions::default().start_after(offset.to_string());
        let pages = pages(&self.store, folder(prefix), options);
        pages.map_ok(|page| stream::iter(objects(&page)).map(Ok)).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        // As many as there may be in a page.
        let options = ListOptions::default().delimiter(DELIMITER.to_owned()).limit(usize::MAX);
        let pages: Vec<_> = pages(&self.store, folder(prefix), options).try_collect().await?;
        Ok(list_result(&pages))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => Mode::Overwrite,
            CopyMode::Create => Mode::Create,
        };
        let copied = self.store.copy_with(from.as_ref(), to.as_ref(), mode).await;
        copied.map(drop).map_err(|error| {
            let is_of_target = matches!(error.kind(), ErrorKind::AlreadyExists);
            failed_at(if is_of_target { to } else { from }.to_string(), error)
        })
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
            RenameTargetMode::Create => CopyMode::Create,
        };
        // A copy to itself, and then a delete, would leave nothing.
        if from == to {
            self.head(from).await?;
            return match mode {
                CopyMode::Overwrite => Ok(()),
                CopyMode::Create => Err(already_exists(to)),
            };
        }
        self.copy_opts(from, to, CopyOptions::new().with_mode(mode)).await?;
        self.delete(from).await
    }
}

impl ArtifactObjectStore {
    async fn head_of(&self, location: &Path) -> Result<Info> {
        let key = location.as_ref();
        if self.store.offers(Interface::Inventory) {
            return self.store.stat(key).await.map_err(failed);
        }
        let nothing = self.store.get_with(key, ReadOptions::default().length(0)).await;
        Ok(nothing.map_err(failed)?.0)
    }
}

/// What is read for a range.
fn part(range: Option<&GetRange>) -> Result<ReadOptions> {
    let all = ReadOptions::default();
    let Some(range) = range else { return Ok(all) };
    range.is_valid().map_err(generic)?;
    Ok(match range {
        GetRange::Bounded(range) => all.offset(range.start).length(range.end - range.start),
        GetRange::Offset(offset) => all.offset(*offset),
        GetRange::Suffix(length) => all.suffix(*length),
    })
}

/// The object, if the options permit it.
fn result(
    location: &Path,
    info: &Info,
    options: &GetOptions,
    payload: BoxStream<'static, Result<Bytes>>,
) -> Result<GetResult> {
    let has_dates = options.if_modified_since.is_some() || options.if_unmodified_since.is_some();
    if has_dates && info.modified.is_none() {
        let source = "the backend does not know when an artifact was stored".into();
        return Err(Error::NotSupported { source });
    }
    let meta = meta::of_info(location.clone(), info);
    options.check_preconditions(&meta)?;
    let range = match &options.range {
        Some(range) => range.as_range(info.size).map_err(generic)?,
        None => 0..info.size,
    };
    Ok(GetResult {
        payload: GetResultPayload::Stream(payload),
        meta,
        range,
        attributes: attributes::to_object(&info.attributes),
        extensions: Default::default(),
    })
}

fn not_current(location: &Path, e_tag: &str) -> Error {
    let source = format!("no version has the entity tag {e_tag:?}").into();
    Error::Precondition { path: location.to_string(), source }
}

fn already_exists(location: &Path) -> Error {
    Error::AlreadyExists { path: location.to_string(), source: "it is the source itself".into() }
}
