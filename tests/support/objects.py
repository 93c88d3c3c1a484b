"""Small DICOM objects made by pydicom: images, overlays, presentation states."""
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
ROWS, COLUMNS = 48, 64


def base(sop_class, **attributes):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.StudyID, ds.StudyDate, ds.StudyTime = "Wang^Xiaodong", "1", "1", "20260101", "120000"
    ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber, ds.ReferringPhysicianName, ds.Manufacturer = "19700101", "M", "", "", ""
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def image(pixels, **attributes):
    """A gray image of 16 bits, 12 of them stored."""
    ds = base(SECONDARY, Modality="OT", ConversionType="WSD", Rows=pixels.shape[0], Columns=pixels.shape[1], SamplesPerPixel=1,
              PhotometricInterpretation="MONOCHROME2", BitsAllocated=16, BitsStored=12, HighBit=11, PixelRepresentation=0)
    ds.add_new(0x7FE00010, "OW", pixels.astype("<u2").tobytes())
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def save(ds, path, transfer_syntax=ExplicitVRLittleEndian):
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.is_little_endian, ds.is_implicit_VR = True, False
    pydicom.dcmwrite(path, ds, write_like_original=False)
    return path


def ramp(rows=ROWS, columns=COLUMNS):
    y, x = np.mgrid[0:rows, 0:columns]
    return (x * 61 + y * 7) % 4096


def put_overlay(ds, group, plane, origin=(1, 1), frames=None):
    rows, columns = plane.shape[-2:]
    ds.add_new((group, 0x10), "US", rows)
    ds.add_new((group, 0x11), "US", columns)
    ds.add_new((group, 0x40), "CS", "G")
    ds.add_new((group, 0x50), "SS", list(origin))
    ds.add_new((group, 0x100), "US", 1)
    ds.add_new((group, 0x102), "US", 0)
    if frames:
        ds.add_new((group, 0x15), "IS", frames)
        ds.add_new((group, 0x51), "US", 1)
    bits = np.packbits(plane.reshape(-1).astype(np.uint8), bitorder="little").tobytes()
    ds.add_new((group, 0x3000), "OW", bits + b"\0" * (len(bits) % 2))


def item(**attributes):
    ds = Dataset()
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def lut(first, entries, bits, data):
    ds = Dataset()
    ds.add_new(0x00283002, "US", [entries % 65536, first, bits])
    ds.add_new(0x00283006, "OW", np.asarray(data).astype("<u2").tobytes())
    return ds


def state(of, **attributes):
    """A presentation state that shows all of an image, as it is."""
    reference = item(ReferencedSOPClassUID=of.SOPClassUID, ReferencedSOPInstanceUID=of.SOPInstanceUID)
    ds = base(GSPS, Modality="PR", ContentLabel="TEST", ContentDescription="", PresentationCreationDate="20260101", PresentationCreationTime="120000",
              ContentCreatorName="")
    ds.StudyInstanceUID = of.StudyInstanceUID
    ds.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=of.SeriesInstanceUID, ReferencedImageSequence=Sequence([reference]))])
    area = Dataset()
    area.add_new(0x00700052, "SL", [1, 1])
    area.add_new(0x00700053, "SL", [of.Columns, of.Rows])
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", ["1", "1"]
    ds.DisplayedAreaSelectionSequence = Sequence([area])
    ds.PresentationLUTShape = "IDENTITY"
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def window(center, width, function=None):
    ds = item(WindowCenter=str(center), WindowWidth=str(width))
    if function:
        ds.VOILUTFunction = function
    return Sequence([ds])
