//! Uploads in parts: each part waits on disk, and the last call writes the artifact.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError};

use artifact_store::{ArtifactStore, Attributes, WriteOptions};
use async_trait::async_trait;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    MultipartId, MultipartUpload, PutMultipartOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::error::{failed, generic};
use crate::spool::Spool;
use crate::{ArtifactObjectStore, attributes, meta};

/// One upload, until it is complete.
pub(crate) struct Upload {
    store: ArtifactStore,
    location: Path,
    attributes: Attributes,
    spool: Arc<Spool>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Upload {
    fn new(
        objects: &ArtifactObjectStore,
        location: &Path,
        options: &PutMultipartOptions,
    ) -> Result<Self> {
        let attributes = attributes::to_artifact(&options.attributes)?;
        let spool = Arc::new(Spool::new(objects.spool.clone()));
        Ok(Self { store: objects.store.clone(), location: location.clone(), attributes, spool })
    }

    /// Writes the parts with these numbers as one artifact.
    async fn store(&self, numbers: impl IntoIterator<Item = usize>) -> Result<PutResult> {
        let (pieces, size) = self.spool.pieces(numbers)?;
        let options = WriteOptions::default().size(size).attributes(self.attributes.clone());
        let mut writer = self.store.writer(self.location.as_ref(), options).map_err(failed)?;
        for piece in pieces {
            match Arc::clone(&self.spool).read(piece).await {
                Ok(data) => writer.write_chunk(data).await.map_err(failed)?,
                Err(error) => {
                    writer.abort().await;
                    return Err(error);
                }
            }
        }
        let info = writer.commit().await.map_err(failed)?;
        Ok(meta::put_result(&info))
    }
}

/// An upload whose parts are numbered as they come.
#[derive(Debug)]
struct Sequence {
    /// `None` once it has ended.
    upload: Option<Upload>,
    parts: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the upload has ended")]
struct Ended;

#[async_trait]
impl MultipartUpload for Sequence {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let number = self.parts;
        self.parts += 1;
        match &self.upload {
            Some(upload) => Box::pin(Arc::clone(&upload.spool).keep(number, data)),
            None => Box::pin(async { Err(generic(Ended)) }),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let upload = self.upload.as_ref().ok_or_else(|| generic(Ended))?;
        let stored = upload.store(0..self.parts).await?;
        self.upload = None;
        Ok(stored)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload = None;
        Ok(())
    }
}

impl ArtifactObjectStore {
    pub(crate) fn begin(
        &self,
        location: &Path,
        options: &PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = Some(Upload::new(self, location, options)?);
        Ok(Box::new(Sequence { upload, parts: 0 }))
    }

    fn upload(&self, path: &Path, id: &MultipartId) -> Result<Arc<Upload>> {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = uploads.get(id).filter(|upload| upload.location == *path);
        upload.cloned().ok_or_else(|| unknown(path, id))
    }
}

fn unknown(path: &Path, id: &MultipartId) -> object_store::Error {
    let source = format!("there is no upload {id:?} of it here").into();
    object_store::Error::NotFound { path: path.to_string(), source }
}

#[async_trait]
impl MultipartStore for ArtifactObjectStore {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.create_multipart_opts(path, PutMultipartOptions::default()).await
    }

    async fn create_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<MultipartId> {
        let upload = Arc::new(Upload::new(self, path, &options)?);
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        // Each state is another one.
        let id = loop {
            let id = format!("{:016x}", RandomState::new().hash_one(()));
            if !uploads.contains_key(&id) {
                break id;
            }
        };
        uploads.insert(id.clone(), upload);
        Ok(id)
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        part_idx: usize,
        data: PutPayload,
    ) -> Result<PartId> {
        let upload = self.upload(path, id)?;
        Arc::clone(&upload.spool).keep(part_idx, data).await?;
        Ok(PartId { content_id: part_idx.to_string() })
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        let upload = self.upload(path, id)?;
        let numbers = parts.iter().map(|part| part.content_id.parse());
        let numbers: Vec<usize> = numbers.collect::<Result<_, _>>().map_err(generic)?;
        let stored = upload.store(numbers).await?;
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(stored)
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.upload(path, id)?;
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }
}
