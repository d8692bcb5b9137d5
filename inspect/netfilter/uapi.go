package netfilter

// Message types of nf_tables: NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_….
const (
	subsys = 10 << 8

	msgNewTable     = subsys
	msgGetTable     = subsys | 1
	msgNewChain     = subsys | 3
	msgGetChain     = subsys | 4
	msgNewRule      = subsys | 6
	msgGetRule      = subsys | 7
	msgNewSet       = subsys | 9
	msgGetSet       = subsys | 10
	msgNewElem      = subsys | 12
	msgGetElem      = subsys | 13
	msgNewGen       = subsys | 15
	msgGetGen       = subsys | 16
	msgNewObj       = subsys | 18
	msgGetObj       = subsys | 19
	msgNewFlowtable = subsys | 22
	msgGetFlowtable = subsys | 23
)

// nfgenLen is the size of struct nfgenmsg: family, version, resource id.
const nfgenLen = 4

// Families of netfilter (NFPROTO_…).
const (
	famInet   = 1
	famIP     = 2
	famARP    = 3
	famNetdev = 5
	famBridge = 7
	famIP6    = 10
)

var familyNames = map[uint8]string{
	famInet: "inet", famIP: "ip", famARP: "arp", famNetdev: "netdev", famBridge: "bridge", famIP6: "ip6",
}

// Registers: the verdict, four of 16 bytes, and the same memory as sixteen of 4 bytes.
const (
	regVerdict = 0
	reg32First = 8
	regWords   = 16
)

// Verdicts of enum nft_verdicts and of linux/netfilter.h.
const (
	verdictContinue = -1
	verdictBreak    = -2
	verdictJump     = -3
	verdictGoto     = -4
	verdictReturn   = -5
	verdictDrop     = 0
	verdictAccept   = 1
	verdictStolen   = 2
	verdictQueue    = 3
)

// Flags of enum nft_set_flags.
const (
	setAnonymous = 0x1
	setConstant  = 0x2
	setInterval  = 0x4
	setMap       = 0x8
	setTimeout   = 0x10
	setEval      = 0x20
	setObject    = 0x40
	setConcat    = 0x80
)

// Flags of enum nft_set_elem_flags.
const (
	elemIntervalEnd = 0x1
	elemCatchAll    = 0x2
)
