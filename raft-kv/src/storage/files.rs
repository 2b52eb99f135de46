//! The few things a node does with files. The seam is [`Files`]: a folder of the system, or a
//! model of a disk that loses what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

/// A folder that files are kept in.
pub trait Files {
    /// Where a file is, for messages.
    fn path(&self, name: &str) -> PathBuf;

    /// All of a file; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Makes a file that holds this, in the place of one that may be there.
    ///
    /// # Errors
    /// When it cannot be written.
    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes behind the end of a file.
    ///
    /// # Errors
    /// When it cannot be written; part of it may have been.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all of a file is on disk.
    ///
    /// # Errors
    /// When it is not known to be.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in the place of one that may have it.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Returns when it is on disk which files there are under which names.
    ///
    /// # Errors
    /// When it is not known to be.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// A folder of the system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The file written last, kept open.
    open: Option<(String, File)>,
}

impl Folder {
    /// The folder at this place, made if there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: &Path) -> io::Result<Folder> {
        fs::create_dir_all(path)?;
        Ok(Folder {
            path: path.to_owned(),
            open: None,
        })
    }

    fn opened(&mut self, name: &str) -> io::Result<&mut File> {
        let file = match self.open.take() {
            Some((known, file)) if known == name => file,
            _ => OpenOptions::new().append(true).open(self.path(name))?,
        };
        Ok(&mut self.open.insert((name.to_owned(), file)).1)
    }
}

impl Files for Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&mut self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match File::open(self.path(name)) {
            Ok(mut file) => file.read_to_end(&mut bytes).map(|_| Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.path(name))?;
        file.write_all(bytes)?;
        self.open = Some((name.to_owned(), file));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.opened(name)?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.opened(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open = None;
        fs::rename(self.path(from), self.path(to))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
