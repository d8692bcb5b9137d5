package netfilter

// enum nft_expr_attributes.
const (
	nftaExprName = 1
	nftaExprData = 2
)

// enum nft_immediate_attributes.
const (
	nftaImmediateDreg = 1
	nftaImmediateData = 2
)

// enum nft_bitwise_attributes.
const (
	nftaBitwiseSreg = 1
	nftaBitwiseDreg = 2
	nftaBitwiseLen  = 3
	nftaBitwiseMask = 4
	nftaBitwiseXor  = 5
	nftaBitwiseOp   = 6
	nftaBitwiseData = 7
)

// enum nft_byteorder_attributes.
const (
	nftaByteorderSreg = 1
	nftaByteorderDreg = 2
	nftaByteorderOp   = 3
	nftaByteorderLen  = 4
	nftaByteorderSize = 5
)

// enum nft_cmp_attributes.
const (
	nftaCmpSreg = 1
	nftaCmpOp   = 2
	nftaCmpData = 3
)

// enum nft_range_attributes.
const (
	nftaRangeSreg     = 1
	nftaRangeOp       = 2
	nftaRangeFromData = 3
	nftaRangeToData   = 4
)

// enum nft_lookup_attributes.
const (
	nftaLookupSet   = 1
	nftaLookupSreg  = 2
	nftaLookupDreg  = 3
	nftaLookupSetId = 4
	nftaLookupFlags = 5
)

// enum nft_dynset_attributes.
const (
	nftaDynsetSetName     = 1
	nftaDynsetSetId       = 2
	nftaDynsetOp          = 3
	nftaDynsetSregKey     = 4
	nftaDynsetSregData    = 5
	nftaDynsetTimeout     = 6
	nftaDynsetExpr        = 7
	nftaDynsetPad         = 8
	nftaDynsetFlags       = 9
	nftaDynsetExpressions = 10
)

// enum nft_payload_attributes.
const (
	nftaPayloadDreg       = 1
	nftaPayloadBase       = 2
	nftaPayloadOffset     = 3
	nftaPayloadLen        = 4
	nftaPayloadSreg       = 5
	nftaPayloadCsumType   = 6
	nftaPayloadCsumOffset = 7
	nftaPayloadCsumFlags  = 8
)

// enum nft_exthdr_attributes.
const (
	nftaExthdrDreg   = 1
	nftaExthdrType   = 2
	nftaExthdrOffset = 3
	nftaExthdrLen    = 4
	nftaExthdrFlags  = 5
	nftaExthdrOp     = 6
	nftaExthdrSreg   = 7
)

// enum nft_hash_attributes.
const (
	nftaHashSreg    = 1
	nftaHashDreg    = 2
	nftaHashLen     = 3
	nftaHashModulus = 4
	nftaHashSeed    = 5
	nftaHashOffset  = 6
	nftaHashType    = 7
	nftaHashSetName = 8
	nftaHashSetId   = 9
)

// enum nft_meta_attributes.
const (
	nftaMetaDreg = 1
	nftaMetaKey  = 2
	nftaMetaSreg = 3
)

// enum nft_rt_attributes.
const (
	nftaRtDreg = 1
	nftaRtKey  = 2
)

// enum nft_socket_attributes.
const (
	nftaSocketKey   = 1
	nftaSocketDreg  = 2
	nftaSocketLevel = 3
)

// enum nft_ct_attributes.
const (
	nftaCtDreg      = 1
	nftaCtKey       = 2
	nftaCtDirection = 3
	nftaCtSreg      = 4
)

// enum nft_offload_attributes.
const (
	nftaFlowTableName = 1
)

// enum nft_limit_attributes.
const (
	nftaLimitRate  = 1
	nftaLimitUnit  = 2
	nftaLimitBurst = 3
	nftaLimitType  = 4
	nftaLimitFlags = 5
	nftaLimitPad   = 6
)

// enum nft_connlimit_attributes.
const (
	nftaConnlimitCount = 1
	nftaConnlimitFlags = 2
)

// enum nft_counter_attributes.
const (
	nftaCounterBytes   = 1
	nftaCounterPackets = 2
	nftaCounterPad     = 3
)

// enum nft_last_attributes.
const (
	nftaLastSet   = 1
	nftaLastMsecs = 2
	nftaLastPad   = 3
)

// enum nft_log_attributes.
const (
	nftaLogGroup      = 1
	nftaLogPrefix     = 2
	nftaLogSnaplen    = 3
	nftaLogQthreshold = 4
	nftaLogLevel      = 5
	nftaLogFlags      = 6
)

// enum nft_queue_attributes.
const (
	nftaQueueNum      = 1
	nftaQueueTotal    = 2
	nftaQueueFlags    = 3
	nftaQueueSregQnum = 4
)

// enum nft_quota_attributes.
const (
	nftaQuotaBytes    = 1
	nftaQuotaFlags    = 2
	nftaQuotaPad      = 3
	nftaQuotaConsumed = 4
)

// enum nft_secmark_attributes.
const (
	nftaSecmarkCtx = 1
)

// enum nft_reject_attributes.
const (
	nftaRejectType     = 1
	nftaRejectIcmpCode = 2
)

// enum nft_nat_attributes.
const (
	nftaNatType        = 1
	nftaNatFamily      = 2
	nftaNatRegAddrMin  = 3
	nftaNatRegAddrMax  = 4
	nftaNatRegProtoMin = 5
	nftaNatRegProtoMax = 6
	nftaNatFlags       = 7
)

// enum nft_tproxy_attributes.
const (
	nftaTproxyFamily  = 1
	nftaTproxyRegAddr = 2
	nftaTproxyRegPort = 3
)

// enum nft_masq_attributes.
const (
	nftaMasqFlags       = 1
	nftaMasqRegProtoMin = 2
	nftaMasqRegProtoMax = 3
)

// enum nft_redir_attributes.
const (
	nftaRedirRegProtoMin = 1
	nftaRedirRegProtoMax = 2
	nftaRedirFlags       = 3
)

// enum nft_dup_attributes.
const (
	nftaDupSregAddr = 1
	nftaDupSregDev  = 2
)

// enum nft_fwd_attributes.
const (
	nftaFwdSregDev  = 1
	nftaFwdSregAddr = 2
	nftaFwdNfproto  = 3
)

// enum nft_objref_attributes.
const (
	nftaObjrefImmType = 1
	nftaObjrefImmName = 2
	nftaObjrefSetSreg = 3
	nftaObjrefSetName = 4
	nftaObjrefSetId   = 5
)

// enum nft_gen_attributes.
const (
	nftaGenId       = 1
	nftaGenProcPid  = 2
	nftaGenProcName = 3
)

// enum nft_fib_attributes.
const (
	nftaFibDreg   = 1
	nftaFibResult = 2
	nftaFibFlags  = 3
)

// enum nft_ct_helper_attributes.
const (
	nftaCtHelperName    = 1
	nftaCtHelperL3proto = 2
	nftaCtHelperL4proto = 3
)

// enum nft_ct_timeout_timeout_attributes.
const (
	nftaCtTimeoutL3proto = 1
	nftaCtTimeoutL4proto = 2
	nftaCtTimeoutData    = 3
)

// enum nft_ct_expectation_attributes.
const (
	nftaCtExpectL3proto = 1
	nftaCtExpectL4proto = 2
	nftaCtExpectDport   = 3
	nftaCtExpectTimeout = 4
	nftaCtExpectSize    = 5
)

// enum nft_object_attributes.
const (
	nftaObjTable    = 1
	nftaObjName     = 2
	nftaObjType     = 3
	nftaObjData     = 4
	nftaObjUse      = 5
	nftaObjHandle   = 6
	nftaObjPad      = 7
	nftaObjUserdata = 8
)

// enum nft_flowtable_attributes.
const (
	nftaFlowtableTable  = 1
	nftaFlowtableName   = 2
	nftaFlowtableHook   = 3
	nftaFlowtableUse    = 4
	nftaFlowtableHandle = 5
	nftaFlowtablePad    = 6
	nftaFlowtableFlags  = 7
)

// enum nft_flowtable_hook_attributes.
const (
	nftaFlowtableHookNum      = 1
	nftaFlowtableHookPriority = 2
	nftaFlowtableHookDevs     = 3
)

// enum nft_osf_attributes.
const (
	nftaOsfDreg  = 1
	nftaOsfTtl   = 2
	nftaOsfFlags = 3
)

// enum nft_synproxy_attributes.
const (
	nftaSynproxyMss    = 1
	nftaSynproxyWscale = 2
	nftaSynproxyFlags  = 3
)

// enum nft_devices_attributes.
const (
	nftaDeviceName = 1
)

// enum nft_xfrm_attributes.
const (
	nftaXfrmDreg  = 1
	nftaXfrmKey   = 2
	nftaXfrmDir   = 3
	nftaXfrmSpnum = 4
)

// enum nft_ng_attributes.
const (
	nftaNgDreg    = 1
	nftaNgModulus = 2
	nftaNgType    = 3
	nftaNgOffset  = 4
	nftaNgSetName = 5
	nftaNgSetId   = 6
)

// enum nft_tunnel_attributes.
const (
	nftaTunnelKey  = 1
	nftaTunnelDreg = 2
	nftaTunnelMode = 3
)

// Attributes newer than the headers of old distributions.
const (
	nftaBitwiseSreg2 = 8 // Linux 6.13
	nftaInnerType    = 2 // Linux 6.2
	nftaInnerFlags   = 3
	nftaInnerHdrsize = 4
	nftaInnerExpr    = 5
	nftaSetCount     = 20 // Linux 6.16: the number of elements
	nftaDevicePrefix = 2  // Linux 6.18
)

// Attributes of nf_tables_compat.h.
const (
	nftaXtName = 1
	nftaXtRev  = 2
	nftaXtInfo = 3
)
