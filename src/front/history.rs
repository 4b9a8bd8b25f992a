//! Keys at any revision, and those that were deleted.

#![warn(missing_docs)]

use thiserror::Error;

use crate::copy::Progress;
use crate::etcd::find::Origin;
use crate::etcd::schema::State;
use crate::filter::NoSuchName;
use crate::input::{DbFile, LogFiles};
use crate::k8s::render::Unrenderable;
use crate::replay::error::ReplayError;
use crate::replay::unfold::unfold;
use crate::scan::Scan;
use crate::travel::history::{self, KeyHistory};
use crate::travel::keys::{Deleted, KeyRow};
use crate::travel::narrow::{Narrow, check_prefix};
use crate::travel::shown::{ShowOptions, Shower, VisibleObject};
use crate::travel::{self, Answer, Select, TravelError, export};

use super::options::{GetOptions, KeysOptions};

/// Why there is no answer about keys.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file is not etcd's, or has no such revision.
    #[error(transparent)]
    Travel(#[from] TravelError),
    /// The file has no such resource, namespace or prefix.
    #[error(transparent)]
    Name(#[from] NoSuchName),
    /// The value is no object, or can't be read as one.
    #[error(transparent)]
    Object(#[from] Unrenderable),
}

/// An object as it was stored at a revision.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredObject {
    /// Its key, revisions and size.
    pub row: KeyRow,
    /// How it is stored: `protobuf`, `json`, `cbor`.
    pub encoding: &'static str,
    /// Its fields, by their JSON names.
    pub object: VisibleObject,
    /// Whether data of a Secret was left out.
    pub redacted: bool,
    /// Number of protobuf fields that this version does not know; they are not in the object.
    pub unknown_fields: u64,
}

impl StoredObject {
    /// The object as YAML.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let keys = file.keys(&Default::default())?;
    /// let key = keys.rows().find(|row| row.key.0.starts_with(b"/registry/configmaps/")).expect("a ConfigMap").key;
    /// let stored = file.get(&key.0, &Default::default())?.expect("it exists");
    /// assert!(stored.to_yaml().contains("kind: ConfigMap"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_yaml(&self) -> String {
        String::from_utf8_lossy(&export::object_yaml(&self.object)).into_owned()
    }
}

impl DbFile {
    /// The keys that exist at a revision.
    ///
    /// # Errors
    /// The file is not etcd's, or has no such revision, or no such name.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let mut options = etcd_medic::KeysOptions::default();
    /// options.prefix = b"/registry/pods/".to_vec();
    /// let pods = file.keys(&options)?;
    /// assert_eq!(pods.rows().count(), 24);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keys(&self, options: &KeysOptions<'_>) -> Result<Answer<'_>, KeysError> {
        travel::refuse_others(&self.db)?;
        let state = State::read(&self.db);
        let select = Select::Prefix(&options.prefix);
        let mut answer = travel::at(&self.db, &state, options.from, options.revision, select)?;
        if !options.is_answered(answer.found.is_empty()) {
            let scan = self.names(&state, options, answer.found.is_empty())?;
            Narrow::to(&options.words, &scan).answer(&mut answer.found)?;
        }
        Ok(answer)
    }

    /// The keys that do not exist now, and of which something can still be found.
    ///
    /// # Errors
    /// The file is not etcd's, or has no such name.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// for gone in file.deleted(&Default::default())?.iter() {
    ///     println!("{} can be recovered: {}", gone.key, gone.recoverable.is_some());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn deleted(&self, options: &KeysOptions<'_>) -> Result<Deleted<'_>, KeysError> {
        travel::refuse_others(&self.db)?;
        let state = State::read(&self.db);
        let mut deleted = travel::keys::deleted(&self.db, &state, Select::Prefix(&options.prefix));
        if !options.is_answered(deleted.is_empty()) {
            let scan = self.names(&state, options, deleted.is_empty())?;
            Narrow::to(&options.words, &scan).deleted(&mut deleted)?;
        }
        Ok(deleted)
    }

    /// The names that the file has. If nothing was found, a prefix that no key has is an error.
    fn names<'a>(
        &'a self,
        state: &State<'a>,
        options: &KeysOptions<'_>,
        is_empty: bool,
    ) -> Result<Scan<'a>, NoSuchName> {
        let (scan, _) = self.scan(state, 0, None, options.progress);
        if is_empty {
            check_prefix(&options.prefix, &scan)?;
        }
        Ok(scan)
    }

    /// The db with all that a log says besides: each revision that its entries made, to its end. If the log has all entries, those that
    /// were compacted, too. It is in a file without a name; [`SearchIn::Log`](crate::SearchIn::Log) looks there.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn with_log(&self, log: &LogFiles, progress: Progress<'_>) -> Result<Self, ReplayError> {
        let db = unfold(self, log, None, progress)?;
        let (path, named) = (self.path.clone(), self.named.clone());
        let (packed, log) = (self.packed.clone(), self.log.clone());
        Ok(Self { path, db, read_without_lock: self.read_without_lock, packed, log, named })
    }

    /// Every record of a key that can be found, in the tree and in free pages.
    ///
    /// # Errors
    /// The file is not etcd's.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let history = file.history(b"/registry/namespaces/default")?;
    /// assert!(!history.records.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self, key: &[u8]) -> Result<KeyHistory, TravelError> {
        travel::refuse_others(&self.db)?;
        Ok(history::history(&self.db, &State::read(&self.db), Origin::Live, key))
    }

    /// One object at a revision; `None` if the key does not exist there.
    ///
    /// # Errors
    /// The file is not etcd's, or has no such revision; the value can't be read as an object.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let stored = file.get(b"/registry/namespaces/default", &Default::default())?.expect("it exists");
    /// assert_eq!(stored.object.fields()["kind"], "Namespace");
    /// # Ok(())
    /// # }
    /// ```
    pub fn get(&self, key: &[u8], options: &GetOptions) -> Result<Option<StoredObject>, KeysError> {
        travel::refuse_others(&self.db)?;
        let state = State::read(&self.db);
        let answer = travel::at(&self.db, &state, options.from, options.revision, Select::Key(key))?;
        let Some(found) = answer.found.first() else { return Ok(None) };
        let show = ShowOptions { show_secrets: options.show_secrets, clean: options.clean };
        let shown = Shower::new(show).object(&found)?;
        Ok(Some(StoredObject {
            row: KeyRow::from(&found),
            encoding: shown.encoding,
            object: shown.object,
            redacted: shown.redacted,
            unknown_fields: shown.unknown_fields,
        }))
    }
}

impl KeysOptions<'_> {
    /// Whether no name needs to be looked up: none was given, or a prefix of which keys were found.
    fn is_answered(&self, is_empty: bool) -> bool {
        self.words.is_none() && (self.prefix.is_empty() || !is_empty)
    }
}

impl Answer<'_> {
    /// The keys, in order.
    pub fn rows(&self) -> impl Iterator<Item = KeyRow> {
        self.found.iter().map(|found| KeyRow::from(&found))
    }
}
