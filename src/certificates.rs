//! Certificates as files: JSON lines, the header first, then the order of one key a line.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use checkers::ModelOptions;
use checkers::certificate::{
    self, Accepted, Certificate, FORMAT, Header, PartOrder, VERSION, VerifyError,
};
use histories::Operations;
use serde::de::DeserializeOwned;

/// What a line may be long apart from the operations in it, in bytes: its key.
const KEY_BYTES_MAX: u64 = 64 << 20;
/// One operation in a line, in bytes: 20 digits, a comma, and perhaps a space.
const OPERATION_BYTES_MAX: u64 = 22;

/// Why a certificate cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system refused.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is there must not be replaced by a file.
    #[error("{} is no file, so no certificate is written there", .0.display())]
    NoFile(PathBuf),
    /// A line is not what it should be.
    #[error("{}: line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why a certificate that was just made is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no place for it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Read back, it does not show what it should.
    #[error("the certificate that was found is refused: {0}")]
    Refused(VerifyError<FileError>),
}

/// Writes a certificate: first beside its place; then it is read back and verified; only then it
/// gets its name. So under that name there is never half of one, nor a wrong one.
///
/// # Errors
/// When it cannot be written, or is refused.
pub fn write(
    path: &Path,
    certificate: &Certificate,
    operations: &Operations<'_>,
    model: &ModelOptions,
) -> Result<Accepted, WriteError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(FileError::NoFile(path.to_owned()).into()),
        _ => {}
    }
    let beside = beside(path);
    let done = write_lines(&beside, certificate)
        .map_err(|source| io_error("write", path, source).into())
        .and_then(|()| verify(&beside, operations, model).map_err(WriteError::Refused))
        .and_then(|accepted| {
            fs::rename(&beside, path).map_err(|source| io_error("write", path, source))?;
            Ok(accepted)
        });
    if done.is_err() {
        // Best effort: nobody knows of this file.
        let _ = fs::remove_file(&beside);
    }
    done
}

/// Checks the certificate in a file, reading one line after another.
///
/// # Errors
/// When it is refused, cannot be read, or when the history is none of the model's.
pub fn verify(
    path: &Path,
    operations: &Operations<'_>,
    model: &ModelOptions,
) -> Result<Accepted, VerifyError<FileError>> {
    let mut lines = Lines::open(path, operations.len() as u64).map_err(VerifyError::Read)?;
    let header: Header = match lines.next_line().map_err(VerifyError::Read)? {
        Some(header) => header,
        None => return Err(VerifyError::Read(lines.problem("the file is empty"))),
    };
    if (header.format.as_str(), header.version) != (FORMAT, VERSION) {
        let problem = format!(
            "this is {} in version {}, not {FORMAT} in version {VERSION}",
            header.format, header.version
        );
        return Err(VerifyError::Read(lines.problem(problem)));
    }
    let orders = std::iter::from_fn(|| lines.next_line::<PartOrder>().transpose());
    certificate::verify(operations, model, &header, orders)
}

fn write_lines(path: &Path, certificate: &Certificate) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer(&mut file, &certificate.header)?;
    file.write_all(b"\n")?;
    for order in &certificate.orders {
        serde_json::to_writer(&mut file, order)?;
        file.write_all(b"\n")?;
    }
    file.into_inner()?.sync_data()
}

/// A name in the same folder that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The lines of a certificate, each of bounded length.
struct Lines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    line: u64,
    line_bytes_max: u64,
    buffer: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path, operations: u64) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|source| io_error("read", path, source))?;
        Ok(Lines {
            path,
            file: BufReader::new(file),
            line: 0,
            line_bytes_max: KEY_BYTES_MAX
                .saturating_add(operations.saturating_mul(OPERATION_BYTES_MAX)),
            buffer: Vec::new(),
        })
    }

    /// The next line; `None` after the last.
    fn next_line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FileError> {
        self.buffer.clear();
        let mut limited = (&mut self.file).take(self.line_bytes_max);
        let read = limited
            .read_until(b'\n', &mut self.buffer)
            .map_err(|source| io_error("read", self.path, source))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        if !self.buffer.ends_with(b"\n") {
            return Err(self.problem(match read as u64 == self.line_bytes_max {
                true => "it is longer than any order of this history",
                false => "it is cut off",
            }));
        }
        serde_json::from_slice(&self.buffer)
            .map(Some)
            .map_err(|error| self.problem(error.to_string()))
    }

    /// Something is wrong with the line read last.
    fn problem(&self, problem: impl Into<String>) -> FileError {
        FileError::Line {
            path: self.path.to_owned(),
            line: self.line.max(1),
            problem: problem.into(),
        }
    }
}

#[cfg(test)]
mod tests;
