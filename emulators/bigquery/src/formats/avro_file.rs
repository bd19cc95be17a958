//! Avro object container files: a header with the schema, then blocks of rows.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::avro_decode::{Input, Node, parse};
use super::avro_encode::{bytes, long};
use crate::limits;

const MAGIC: &[u8] = b"Obj\x01";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    Null,
    Deflate,
    Snappy,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Codec::Null => "null",
            Codec::Deflate => "deflate",
            Codec::Snappy => "snappy",
        }
    }
}

/// Writes a file; `blocks` are counts of rows with their encoded bytes.
pub fn write(schema: &str, codec: Codec, sync: [u8; 16], blocks: Vec<(usize, Vec<u8>)>) -> Result<Vec<u8>, String> {
    let mut out = MAGIC.to_vec();
    long(2, &mut out);
    for (key, value) in [("avro.schema", schema), ("avro.codec", codec.name())] {
        bytes(key.as_bytes(), &mut out);
        bytes(value.as_bytes(), &mut out);
    }
    long(0, &mut out);
    out.extend(sync);
    for (rows, block) in blocks {
        long(rows as i64, &mut out);
        let packed = match codec {
            Codec::Null => block,
            Codec::Deflate => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&block).and_then(|()| encoder.finish()).map_err(|error| error.to_string())?
            }
            Codec::Snappy => {
                let mut packed = snap::raw::Encoder::new().compress_vec(&block).map_err(|error| error.to_string())?;
                packed.extend(crc32fast::hash(&block).to_be_bytes());
                packed
            }
        };
        bytes(&packed, &mut out);
        out.extend(sync);
    }
    Ok(out)
}

/// A file that was read: its schema, and each block's count of rows and bytes.
pub struct AvroFile {
    pub schema: Node,
    pub blocks: Vec<(usize, Vec<u8>)>,
}

/// Reads and unpacks a whole file.
pub fn read(file: &[u8]) -> Result<AvroFile, String> {
    let mut input = Input(file.strip_prefix(MAGIC).ok_or("The Apache Avro library failed to parse the header with the following error: Invalid data file. Magic does not match")?);
    let mut schema = None;
    let mut codec = Codec::Null;
    loop {
        let mut count = input.long()?;
        if count == 0 {
            break;
        }
        if count < 0 {
            input.long()?;
            count = count.checked_neg().ok_or("The Avro header is too long")?;
        }
        for _ in 0..count {
            let (key, value) = (input.text()?, input.bytes()?);
            match key.as_str() {
                "avro.schema" => schema = Some(serde_json::from_slice(value).map_err(|error| error.to_string())?),
                "avro.codec" => {
                    codec = match value {
                        b"null" => Codec::Null,
                        b"deflate" => Codec::Deflate,
                        b"snappy" => Codec::Snappy,
                        other => return Err(format!("Avro codec {} is not supported", String::from_utf8_lossy(other))),
                    }
                }
                _ => {}
            }
        }
    }
    let schema = parse(&schema.ok_or("The Avro file has no schema")?)?;
    let sync = input.take(16)?;
    let mut blocks = Vec::new();
    let mut unpacked = 0;
    while !input.0.is_empty() {
        let rows = usize::try_from(input.long()?).map_err(|_| "An Avro block has a negative count of rows")?;
        let packed = input.bytes()?;
        if input.take(16)? != sync {
            return Err("An Avro block does not end with the file's sync marker".into());
        }
        let block = unpack(codec, packed, limits::UPLOAD_BYTES.saturating_sub(unpacked))?;
        unpacked += block.len();
        blocks.push((rows, block));
    }
    Ok(AvroFile { schema, blocks })
}

fn unpack(codec: Codec, packed: &[u8], room: usize) -> Result<Vec<u8>, String> {
    const LARGE: &str = "The Avro file is too large when it is unpacked";
    match codec {
        Codec::Null if packed.len() > room => Err(LARGE.into()),
        Codec::Null => Ok(packed.to_vec()),
        Codec::Deflate => {
            let mut block = Vec::new();
            let mut decoder = DeflateDecoder::new(packed).take(room as u64 + 1);
            decoder.read_to_end(&mut block).map_err(|error| error.to_string())?;
            if block.len() > room { Err(LARGE.into()) } else { Ok(block) }
        }
        Codec::Snappy => {
            // Four bytes of checksum follow.
            let (packed, sum) = packed.split_last_chunk::<4>().ok_or("An Avro block ends early")?;
            if snap::raw::decompress_len(packed).map_err(|error| error.to_string())? > room {
                return Err(LARGE.into());
            }
            let block = snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| error.to_string())?;
            if crc32fast::hash(&block).to_be_bytes() != *sum {
                return Err("An Avro block's checksum is wrong".into());
            }
            Ok(block)
        }
    }
}
