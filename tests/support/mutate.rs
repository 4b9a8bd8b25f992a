//! Changes to a file of a sort that random bytes seldom hit: a number of its format that lies, a page in another's place.
//! The checksums are made right again, mostly, so that what stands behind them is read.

use etcd_medic::internals::bolt::format::{BUCKET_FLAG, ELEMENT_SIZE, MAGIC, MetaBytes, PAGE_HEADER_SIZE};
use etcd_medic::internals::bolt::meta::checksum;
use sha2::{Digest, Sha256};
use zerocopy::FromBytes;

use super::random::Random;

/// Changes a file in one to four ways, to at most so many bytes.
pub fn mutate(file: &mut Vec<u8>, random: &mut Random, max_len: usize) {
    let page_size = page_size(file);
    for _ in 0..random.between(1, 4) {
        Canvas { file: &mut *file, page_size, random: &mut *random }.change();
    }
    file.truncate(max_len);
    if !random.percent(10) {
        repair(file);
    }
}

/// Makes the checksums of both metas right, and that of a snapshot's trailer.
pub fn repair(file: &mut [u8]) {
    for start in [0, page_size(file)] {
        let bytes = file.get_mut(start + PAGE_HEADER_SIZE..).unwrap_or_default();
        if let Ok((meta, _)) = MetaBytes::mut_from_prefix(bytes)
            && meta.magic.get() == MAGIC
        {
            let sum = checksum(meta);
            meta.checksum.set(sum);
        }
    }
    let trailer = Sha256::output_size();
    if file.len() % 512 == trailer {
        let (content, sum) = file.split_at_mut(file.len() - trailer);
        sum.copy_from_slice(&Sha256::digest(content));
    }
}

/// What its first meta says, or the second one where etcd's page size has it.
fn page_size(file: &[u8]) -> usize {
    let said = |start: usize| {
        let (meta, _) = MetaBytes::ref_from_prefix(file.get(start + PAGE_HEADER_SIZE..)?).ok()?;
        let size = meta.page_size.get() as usize;
        (meta.magic.get() == MAGIC && size.is_power_of_two() && (512..=65536).contains(&size)).then_some(size)
    };
    said(0).or_else(|| said(4096)).unwrap_or(4096)
}

/// A file that is being changed. Nothing happens where it lacks what a change is about.
struct Canvas<'f> {
    file: &'f mut Vec<u8>,
    page_size: usize,
    random: &'f mut Random,
}

impl Canvas<'_> {
    fn change(&mut self) {
        match self.random.below(20) {
            0 | 1 => self.header_field(),
            2..=4 => self.element_field(),
            5 => self.element_over_element(),
            6 => self.key(),
            7 | 8 => self.value(),
            9 => self.bucket_header(),
            10 => self.freelist_id(),
            11 => self.meta_field(),
            12 => self.meta_field_of_both(),
            13 => self.page_over_page(),
            14 => self.pages_swapped(),
            15 => self.page_filled(),
            16 => self.page_torn(),
            17 => self.bits(),
            18 => self.cut(),
            _ => self.grown(),
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.index(end.max(1))
    }

    fn num_pages(&self) -> usize {
        self.file.len().div_ceil(self.page_size)
    }

    /// Where some page begins.
    fn page(&mut self) -> usize {
        let pages = self.num_pages();
        self.below(pages) * self.page_size
    }

    /// Where some page begins that says to be of this kind, or any.
    fn page_of_kind(&mut self, flags: u16) -> usize {
        let tries: Vec<_> = (0..16).map(|_| self.page()).collect();
        tries.into_iter().find(|&page| self.u16(page + 8) == flags).unwrap_or_else(|| self.page())
    }

    fn u16(&self, at: usize) -> u16 {
        self.file.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&self, at: usize) -> u32 {
        self.file
            .get(at..at + 4)
            .map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.file.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }

    /// A number that is a limit of something, or nearly.
    fn number(&mut self) -> u64 {
        let (pages, len) = (self.num_pages() as u64, self.file.len() as u64);
        let page_size = self.page_size as u64;
        match self.random.below(6) {
            0 => self.random.below(pages + 2),
            1 => self.random.below(300),
            2 => {
                1u64.checked_shl(self.random.below(64) as u32).unwrap_or(0).wrapping_sub(self.random.below(2))
            }
            3 => self.random.next(),
            4 => len.wrapping_add(self.random.below(64)).wrapping_sub(32),
            _ => self.random.one_of(&[
                0,
                1,
                2,
                pages - pages.min(1),
                pages,
                u64::from(u16::MAX),
                u64::from(u32::MAX),
                i64::MAX as u64,
                i64::MIN as u64,
                u64::MAX,
                u64::MAX / page_size,
                u64::MAX / page_size + 1,
                page_size,
                page_size - 16,
            ]),
        }
    }

    /// Writes a number into a field of 2, 4 or 8 bytes.
    fn lie(&mut self, at: usize, size: usize) {
        let mut number = self.number();
        if self.random.percent(30) {
            let old = if size == 2 { u64::from(self.u16(at)) } else { u64::from(self.u32(at)) };
            number = old.wrapping_add(self.random.below(5)).wrapping_sub(2);
        }
        self.put(at, &number.to_le_bytes()[..size]);
    }

    /// Id, kind, number of elements, overflow.
    fn header_field(&mut self) {
        let page = self.page();
        let (at, size) = self.random.one_of(&[(0, 8), (8, 2), (10, 2), (10, 2), (12, 4), (12, 4)]);
        if at == 8 && !self.random.percent(20) {
            let kind = self.random.one_of(&[0u16, 1, 2, 4, 16, 3, 18]);
            return self.put(page + at, &kind.to_le_bytes());
        }
        self.lie(page + at, size);
    }

    /// Where some element of some page begins, and whether the page says to be a leaf.
    fn element(&mut self) -> (usize, bool) {
        let kind = self.random.one_of(&[1, 2, 2]);
        let page = self.page_of_kind(kind);
        let fits = (self.page_size - PAGE_HEADER_SIZE) / ELEMENT_SIZE;
        let index = self.below(usize::from(self.u16(page + 10)).min(fits));
        (page + PAGE_HEADER_SIZE + index * ELEMENT_SIZE, self.u16(page + 8) == 2)
    }

    /// Flags, position and sizes of a leaf's; position, size and child of a branch's.
    fn element_field(&mut self) {
        let (element, is_leaf) = self.element();
        let fields: &[(usize, usize)] =
            if is_leaf { &[(0, 4), (4, 4), (8, 4), (12, 4)] } else { &[(0, 4), (4, 4), (8, 8), (8, 8)] };
        let (at, size) = self.random.one_of(fields);
        self.lie(element + at, size);
    }

    fn element_over_element(&mut self) {
        let ((from, _), (to, _)) = (self.element(), self.element());
        if let Some(bytes) = self.file.get(from..from + ELEMENT_SIZE).map(<[u8]>::to_vec) {
            self.put(to, &bytes);
        }
    }

    /// Where the key of some leaf's element begins, its length, and its value's.
    fn entry(&mut self) -> Option<(usize, usize, usize)> {
        let (element, is_leaf) = self.element();
        let [position, key, value] = [4, 8, 12].map(|at| self.u32(element + at) as usize);
        let at = element.checked_add(position)?;
        let ends = at.checked_add(key)?.checked_add(value)? <= self.file.len();
        (is_leaf && ends).then_some((at, key, value))
    }

    /// A revision that lies, or any byte.
    fn key(&mut self) {
        let Some((at, len, _)) = self.entry() else { return };
        let number = self.number();
        match self.random.below(4) {
            0 => self.put(at, &number.to_be_bytes()),
            1 if len >= 17 => self.put(at + 9, &number.to_be_bytes()),
            2 => {
                let last = self.random.one_of(&[b't', b'b', 0, 0xff]);
                self.put(at + len.max(1) - 1, &[last]);
            }
            _ => {
                let (byte, place) = (self.random.next() as u8, self.below(len));
                self.put(at + place, &[byte]);
            }
        }
    }

    /// A byte of it, most often one of those in front, where the lengths and field numbers of protobuf stand.
    fn value(&mut self) {
        let Some((at, key, len)) = self.entry() else { return };
        let near = if self.random.percent(70) { len.min(24) } else { len };
        let place = at + key + self.below(near);
        let any = self.random.next() as u8;
        let byte = self.random.one_of(&[0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x12, any]);
        self.put(place, &[byte]);
    }

    /// The root or sequence of a bucket, or the header of an inline one's page.
    fn bucket_header(&mut self) {
        for _ in 0..16 {
            let (element, _) = self.element();
            let at = element + self.u32(element + 4) as usize + self.u32(element + 8) as usize;
            if self.u32(element) == BUCKET_FLAG {
                let (field, size) = self.random.one_of(&[
                    (0, 8),
                    (0, 8),
                    (8, 8),
                    (24, 2),
                    (26, 2),
                    (28, 4),
                    (32, 4),
                    (40, 4),
                ]);
                return self.lie(at + field, size);
            }
        }
    }

    fn freelist_id(&mut self) {
        let page = self.page_of_kind(16);
        let slot = self.below(usize::from(self.u16(page + 10)).min(self.page_size / 8 - 2));
        self.lie(page + PAGE_HEADER_SIZE + slot * 8, 8);
    }

    /// Page size, flags, root, sequence, freelist, high water mark, txid: where they stand in a meta.
    fn meta_field_at(&mut self) -> (usize, usize) {
        self.random.one_of(&[(8, 4), (12, 4), (16, 8), (16, 8), (24, 8), (32, 8), (40, 8), (40, 8), (48, 8)])
    }

    fn meta_field(&mut self) {
        let (at, size) = self.meta_field_at();
        let slot = self.below(2) * self.page_size;
        self.lie(slot + PAGE_HEADER_SIZE + at, size);
    }

    fn meta_field_of_both(&mut self) {
        let (at, size) = self.meta_field_at();
        let number = self.number();
        for slot in [0, self.page_size] {
            self.put(slot + PAGE_HEADER_SIZE + at, &number.to_le_bytes()[..size]);
        }
    }

    fn page_over_page(&mut self) {
        let (from, to) = (self.page(), self.page());
        let len = self.page_size.min(self.file.len() - from.max(to).min(self.file.len()));
        self.file.copy_within(from..from + len, to);
        // as if it were written there, or as a disk misplaces it
        if self.random.percent(50) {
            let id = (to / self.page_size) as u64;
            self.put(to, &id.to_le_bytes());
        }
    }

    fn pages_swapped(&mut self) {
        let (a, b) = (self.page(), self.page());
        let read = |at: usize| self.file.get(at..at + self.page_size).map(<[u8]>::to_vec);
        let (Some(first), Some(second)) = (read(a), read(b)) else { return };
        self.put(a, &second);
        self.put(b, &first);
    }

    fn page_filled(&mut self) {
        let (page, byte) = (self.page(), self.random.one_of(&[0, 0, 0xff, 0xa5]));
        let end = (page + self.page_size).min(self.file.len());
        self.file[page..end].fill(byte);
    }

    /// The rest of a page from some sector on is another's, or zeros.
    fn page_torn(&mut self) {
        let (page, other) = (self.page(), self.page());
        let start = self.below(self.page_size / 512) * 512;
        let zeros = vec![0; self.page_size - start];
        let rest = self.file.get(other + start..other + self.page_size).map(<[u8]>::to_vec);
        let rest = rest.filter(|_| self.random.percent(60)).unwrap_or(zeros);
        self.put(page + start, &rest);
    }

    fn bits(&mut self) {
        for _ in 0..self.random.between(1, 8) {
            let (at, bit) = (self.below(self.file.len()), self.random.below(8));
            if let Some(byte) = self.file.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }

    fn cut(&mut self) {
        let at = self.below(self.file.len());
        let unit = self.random.one_of(&[1, 512, self.page_size, self.page_size, self.page_size]);
        self.file.truncate((at / unit * unit).max(1));
    }

    /// By some bytes or pages: of zeros, or of pages again.
    fn grown(&mut self) {
        let page = self.page();
        match self.random.below(3) {
            0 => {
                let len = self.random.one_of(&[1, 32, 512]);
                self.file.extend(self.random.bytes(len));
            }
            1 => self.file.resize(self.file.len() + self.page_size, 0),
            _ => {
                let end = (page + self.page_size).min(self.file.len());
                self.file.extend_from_within(page..end);
            }
        }
    }
}
