// The attributes of search answers.
#include "mod/dicomweb/qido.h"

#include "dicom/dataset.h"

// PS3.18 tables 10.6.3-3, 10.6.3-4 and 10.6.3-5: what an answer has without being asked.
static const uint32_t STUDY[] = {DCM_StudyDate,
                                 DCM_StudyTime,
                                 DCM_AccessionNumber,
                                 DCM_InstanceAvailability,
                                 DCM_ModalitiesInStudy,
                                 DCM_ReferringPhysicianName,
                                 DCM_PatientName,
                                 DCM_PatientID,
                                 DCM_PatientBirthDate,
                                 DCM_PatientSex,
                                 DCM_StudyInstanceUID,
                                 DCM_StudyID,
                                 DCM_TimezoneOffsetFromUTC,
                                 DCM_NumberOfStudyRelatedSeries,
                                 DCM_NumberOfStudyRelatedInstances,
                                 DCM_StudyDescription,
                                 0};
static const uint32_t SERIES[] = {DCM_Modality,
                                  DCM_TimezoneOffsetFromUTC,
                                  DCM_SeriesDescription,
                                  DCM_SeriesInstanceUID,
                                  DCM_SeriesNumber,
                                  DCM_NumberOfSeriesRelatedInstances,
                                  DCM_BodyPartExamined,
                                  DCM_PerformedProcedureStepStartDate,
                                  DCM_PerformedProcedureStepStartTime,
                                  DCM_RequestAttributesSequence,
                                  0};
static const uint32_t INSTANCE[] = {DCM_SOPClassUID, DCM_SOPInstanceUID, DCM_InstanceAvailability, DCM_InstanceNumber,        DCM_Rows,
                                    DCM_Columns,     DCM_BitsAllocated,  DCM_NumberOfFrames,       DCM_TimezoneOffsetFromUTC, 0};

const uint32_t *dw_query_attributes(enum query_level level) {
    return level == QUERY_STUDY ? STUDY : level == QUERY_SERIES ? SERIES : INSTANCE;
}

const char *const DW_QUERY_PARAMETERS[] = {"limit",   "offset", "includefield", "fuzzymatching", "emptyvaluematching", "multiplevaluematching", "accept",
                                           "charset", NULL};
