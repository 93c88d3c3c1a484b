"""Objects that point at images, made with pydicom so that foreign code writes what foreign viewers read: a SEG and a TID 1500 SR of a CT series."""
import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"
PATIENT_AND_STUDY = ["SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime",
                     "AccessionNumber", "ReferringPhysicianName", "StudyDescription"]


def items(*datasets):
    return Sequence(list(datasets))


def code(value, scheme, meaning):
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def new_object(of, sop_class, modality, number, description):
    """A data set in the study of another, with a series and an instance of its own."""
    ds = Dataset()
    for name in PATIENT_AND_STUDY:
        if name in of:
            ds[name] = of[name]
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = sop_class, generate_uid(), generate_uid()
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.SeriesDescription = modality, number, 1, description
    ds.ContentDate, ds.ContentTime = of.StudyDate, of.StudyTime
    ds.SeriesDate, ds.SeriesTime = of.StudyDate, of.StudyTime
    ds.Manufacturer, ds.ManufacturerModelName, ds.DeviceSerialNumber, ds.SoftwareVersions = "tests", "tests", "1", "1"
    return ds


def save(ds, path):
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(path, write_like_original=False)


def reference(image):
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return ds


def segment(number, label):
    ds = Dataset()
    ds.SegmentNumber, ds.SegmentLabel, ds.SegmentAlgorithmType = number, label, "MANUAL"
    ds.SegmentedPropertyCategoryCodeSequence = items(code("85756007", "SCT", "Tissue"))
    ds.SegmentedPropertyTypeCodeSequence = items(code("39607008", "SCT", "Lung"))
    ds.RecommendedDisplayCIELabValue = [45000, 50000, 50000]
    return ds


def frame_of(image, index):
    ds, position, content, source = Dataset(), Dataset(), Dataset(), reference(image)
    position.ImagePositionPatient = image.ImagePositionPatient
    content.DimensionIndexValues = [1, index]
    source.PurposeOfReferenceCodeSequence = items(code("121322", "DCM", "Source image for image processing operation"))
    derivation = Dataset()
    derivation.SourceImageSequence = items(source)
    derivation.DerivationCodeSequence = items(code("113076", "DCM", "Segmentation"))
    number = Dataset()
    number.ReferencedSegmentNumber = 1
    ds.FrameContentSequence, ds.PlanePositionSequence = items(content), items(position)
    ds.DerivationImageSequence, ds.SegmentIdentificationSequence = items(derivation), items(number)
    return ds


def shared_of(image):
    ds, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = image.PixelSpacing, image.SliceThickness
    orientation.ImageOrientationPatient = image.ImageOrientationPatient
    ds.PixelMeasuresSequence, ds.PlaneOrientationSequence = items(measures), items(orientation)
    return ds


def segmentation(images, path):
    """A binary SEG over all images: a square in the middle of each."""
    first = images[0]
    ds = new_object(first, SEG_CLASS, "SEG", 90, "Segmentation")
    ds.ImageType, ds.SegmentationType, ds.ContentLabel, ds.ContentDescription = ["DERIVED", "PRIMARY"], "BINARY", "SQUARE", "A square"
    ds.ContentCreatorName = "tests"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = first.FrameOfReferenceUID, ""
    ds.Rows, ds.Columns, ds.NumberOfFrames = first.Rows, first.Columns, len(images)
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation, ds.LossyImageCompression = 1, "MONOCHROME2", 0, "00"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.SegmentSequence = items(segment(1, "square"))
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = first.SeriesInstanceUID, items(*[reference(i) for i in images])
    ds.ReferencedSeriesSequence = items(series)
    organization = Dataset()
    organization.DimensionOrganizationUID = generate_uid()
    ds.DimensionOrganizationSequence = items(organization)
    by_segment, by_position = Dataset(), Dataset()
    by_segment.DimensionOrganizationUID = by_position.DimensionOrganizationUID = organization.DimensionOrganizationUID
    by_segment.DimensionIndexPointer, by_segment.FunctionalGroupPointer = 0x0062000B, 0x0062000A
    by_position.DimensionIndexPointer, by_position.FunctionalGroupPointer = 0x00200032, 0x00209113
    ds.DimensionIndexSequence = items(by_segment, by_position)
    ds.SharedFunctionalGroupsSequence = items(shared_of(first))
    ds.PerFrameFunctionalGroupsSequence = items(*[frame_of(image, i + 1) for i, image in enumerate(images)])
    mask = numpy.zeros((len(images), first.Rows, first.Columns), dtype=numpy.uint8)
    mask[:, first.Rows * 3 // 8:first.Rows * 5 // 8, first.Columns * 3 // 8:first.Columns * 5 // 8] = 1
    ds.PixelData = numpy.packbits(mask.reshape(-1), bitorder="little").tobytes()
    save(ds, path)
    return ds


# ---- structured report ----

def content(relationship, kind, concept, children=()):
    ds = Dataset()
    if relationship:
        ds.RelationshipType = relationship
    ds.ValueType = kind
    if concept:
        ds.ConceptNameCodeSequence = items(concept)
    if kind == "CONTAINER":
        ds.ContinuityOfContent = "SEPARATE"
    if children:
        ds.ContentSequence = items(*children)
    return ds


def coded(relationship, concept, value):
    ds = content(relationship, "CODE", concept)
    ds.ConceptCodeSequence = items(value)
    return ds


def text_of(relationship, kind, concept, value):
    ds = content(relationship, kind, concept)
    setattr(ds, {"TEXT": "TextValue", "UIDREF": "UID", "PNAME": "PersonName"}[kind], value)
    return ds


def length_of(image, points, millimetres):
    """NUM "Length" inferred from a polyline on an image (TID 300, 320)."""
    picture = content("SELECTED FROM", "IMAGE", None)
    picture.ReferencedSOPSequence = items(reference(image))
    line = content("INFERRED FROM", "SCOORD", None, [picture])
    line.GraphicType, line.GraphicData = "POLYLINE", points
    number = content("CONTAINS", "NUM", code("410668003", "SCT", "Length"), [line])
    value = Dataset()
    value.NumericValue = f"{millimetres:.2f}"
    value.MeasurementUnitsCodeSequence = items(code("mm", "UCUM", "millimeter"))
    number.MeasuredValueSequence = items(value)
    return number


def measurement_report(image, path):
    """An imaging measurement report (PS3.16 TID 1500) of one length in the middle of an image."""
    ds = new_object(image, SR_CLASS, "SR", 91, "Measurements 测量")
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ReferencedPerformedProcedureStepSequence, ds.PerformedProcedureCodeSequence = items(), items()
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = image.SeriesInstanceUID, items(reference(image))
    study.StudyInstanceUID, study.ReferencedSeriesSequence = image.StudyInstanceUID, items(series)
    ds.CurrentRequestedProcedureEvidenceSequence = items(study)
    row, left, right = image.Rows / 2, image.Columns * 0.3, image.Columns * 0.7
    millimetres = (right - left) * float(image.PixelSpacing[1])
    group = content("CONTAINS", "CONTAINER", code("125007", "DCM", "Measurement Group"), [
        text_of("HAS OBS CONTEXT", "TEXT", code("112039", "DCM", "Tracking Identifier"), "Cornerstone3DTools@^0.1.0:Length"),
        text_of("HAS OBS CONTEXT", "UIDREF", code("112040", "DCM", "Tracking Unique Identifier"), generate_uid()),
        coded("CONTAINS", code("121071", "DCM", "Finding"), code("108369006", "SCT", "Neoplasm")),
        length_of(image, [left, row, right, row], millimetres),
    ])
    root = content(None, "CONTAINER", code("126000", "DCM", "Imaging Measurement Report"), [
        coded("HAS CONCEPT MOD", code("121049", "DCM", "Language of Content Item and Descendants"), code("eng", "RFC5646", "English")),
        coded("HAS OBS CONTEXT", code("121005", "DCM", "Observer Type"), code("121006", "DCM", "Person")),
        text_of("HAS OBS CONTEXT", "PNAME", code("121008", "DCM", "Person Observer Name"), "Reader^Test"),
        coded("HAS CONCEPT MOD", code("121058", "DCM", "Procedure reported"), code("77477000", "SCT", "CT")),
        content("CONTAINS", "CONTAINER", code("111028", "DCM", "Image Library")),
        content("CONTAINS", "CONTAINER", code("126010", "DCM", "Imaging Measurements"), [group]),
    ])
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "1500"
    root.ContentTemplateSequence = items(template)
    ds.update(root)
    save(ds, path)
    return ds


# ---- ultrasound clip ----

def colour_clip(of, path, frames=12, rows=96, columns=128):
    """An uncompressed RGB clip in the study of another object: a red square travels over a gray ramp."""
    ds = new_object(of, "1.2.840.10008.5.1.4.1.1.3.1", "US", 92, "Colour clip 彩超")
    ds.ImageType, ds.PatientOrientation = ["ORIGINAL", "PRIMARY"], ""
    ds.Rows, ds.Columns, ds.NumberOfFrames = rows, columns, frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration, ds.PixelRepresentation = 3, "RGB", 0, 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.LossyImageCompression = 8, 8, 7, "00"
    ds.FrameIncrementPointer, ds.FrameTime = 0x00181063, "50"
    pixels = numpy.zeros((frames, rows, columns, 3), dtype=numpy.uint8)
    pixels[:] = numpy.linspace(20, 200, columns, dtype=numpy.uint8)[None, None, :, None]
    for i in range(frames):
        pixels[i, 32:64, 4 + 8 * i:28 + 8 * i] = (220, 30, 30)
    ds.PixelData = pixels.tobytes()
    save(ds, path)
    return ds
