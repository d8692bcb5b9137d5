package netfilter

// What follows are the attributes of include/uapi/linux/netfilter/nf_tables.h (Linux 6.18), by the kernel's names.

// enum nft_list_attributes.
const (
	nftaListElem = 1
)

// enum nft_hook_attributes.
const (
	nftaHookHooknum  = 1
	nftaHookPriority = 2
	nftaHookDev      = 3
	nftaHookDevs     = 4
)

// enum nft_table_attributes.
const (
	nftaTableName     = 1
	nftaTableFlags    = 2
	nftaTableUse      = 3
	nftaTableHandle   = 4
	nftaTablePad      = 5
	nftaTableUserdata = 6
	nftaTableOwner    = 7
)

// enum nft_chain_attributes.
const (
	nftaChainTable    = 1
	nftaChainHandle   = 2
	nftaChainName     = 3
	nftaChainHook     = 4
	nftaChainPolicy   = 5
	nftaChainUse      = 6
	nftaChainType     = 7
	nftaChainCounters = 8
	nftaChainPad      = 9
	nftaChainFlags    = 10
	nftaChainId       = 11
	nftaChainUserdata = 12
)

// enum nft_rule_attributes.
const (
	nftaRuleTable       = 1
	nftaRuleChain       = 2
	nftaRuleHandle      = 3
	nftaRuleExpressions = 4
	nftaRuleCompat      = 5
	nftaRulePosition    = 6
	nftaRuleUserdata    = 7
	nftaRulePad         = 8
	nftaRuleId          = 9
	nftaRulePositionId  = 10
	nftaRuleChainId     = 11
)

// enum nft_set_desc_attributes.
const (
	nftaSetDescSize   = 1
	nftaSetDescConcat = 2
)

// enum nft_set_field_attributes.
const (
	nftaSetFieldLen = 1
)

// enum nft_set_attributes.
const (
	nftaSetTable       = 1
	nftaSetName        = 2
	nftaSetFlags       = 3
	nftaSetKeyType     = 4
	nftaSetKeyLen      = 5
	nftaSetDataType    = 6
	nftaSetDataLen     = 7
	nftaSetPolicy      = 8
	nftaSetDesc        = 9
	nftaSetId          = 10
	nftaSetTimeout     = 11
	nftaSetGcInterval  = 12
	nftaSetUserdata    = 13
	nftaSetPad         = 14
	nftaSetObjType     = 15
	nftaSetHandle      = 16
	nftaSetExpr        = 17
	nftaSetExpressions = 18
)

// enum nft_set_elem_attributes.
const (
	nftaSetElemKey         = 1
	nftaSetElemData        = 2
	nftaSetElemFlags       = 3
	nftaSetElemTimeout     = 4
	nftaSetElemExpiration  = 5
	nftaSetElemUserdata    = 6
	nftaSetElemExpr        = 7
	nftaSetElemPad         = 8
	nftaSetElemObjref      = 9
	nftaSetElemKeyEnd      = 10
	nftaSetElemExpressions = 11
)

// enum nft_set_elem_list_attributes.
const (
	nftaSetElemListTable    = 1
	nftaSetElemListSet      = 2
	nftaSetElemListElements = 3
	nftaSetElemListSetId    = 4
)

// enum nft_data_attributes.
const (
	nftaDataValue   = 1
	nftaDataVerdict = 2
)

// enum nft_verdict_attributes.
const (
	nftaVerdictCode    = 1
	nftaVerdictChain   = 2
	nftaVerdictChainId = 3
)
