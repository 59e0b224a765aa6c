//! A folder with a file, and what writers do to it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::archive;
use crate::plan::Compress;

pub const FORMS: [Compress; 3] = [Compress::None, Compress::Gzip, Compress::Zstd];

pub struct Place {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.log");
        Self { folder, path }
    }

    pub fn append(&self, bytes: &[u8]) {
        append(&self.path, bytes);
    }

    pub fn rename(&self, to: &str) -> PathBuf {
        let to = self.folder.path().join(to);
        fs::rename(&self.path, &to).unwrap();
        to
    }
}

pub fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

impl Place {
    /// As the writer does it: the file becomes the archive of `second`, and a new one begins. With a form, it has been
    /// compressed since.
    pub fn archive(&self, second: i64, form: Compress) {
        let at = Timestamp::from_second(second).unwrap();
        let plain = archive::archive_path(&self.path, at);
        fs::rename(&self.path, &plain).unwrap();
        self.append(b"");
        let packed = archive::archive_path_as(&self.path, at, form);
        let bytes = fs::read(&plain).unwrap();
        match form {
            Compress::None => return,
            Compress::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).unwrap();
                fs::write(&packed, encoder.finish().unwrap()).unwrap();
            }
            Compress::Zstd => fs::write(&packed, zstd::encode_all(&bytes[..], 1).unwrap()).unwrap(),
        }
        let time = plain.metadata().unwrap().modified().unwrap();
        File::open(&packed).unwrap().set_times(fs::FileTimes::new().set_modified(time)).unwrap();
        fs::remove_file(plain).unwrap();
    }
}
