/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pagering: registers and records of the card.
 * Rendered from abi.py; do not edit.
 *
 * A field of a register has a SHIFT and, in place, a MASK. A field of a completion has
 * also a WORD: the 32-bit little-endian word of the record that SHIFT and MASK mean.
 */
#ifndef PAGERING_H
#define PAGERING_H

#define PAGERING_ID_VALUE                                 0x50475247u
#define PAGERING_VERSION_MAJOR                            2
#define PAGERING_VERSION_MINOR                            0
#define PAGERING_QUEUES_MAX                               64
#define PAGERING_POOLS_MAX                                64
#define PAGERING_REGION_SLOTS_MAX                         256
#define PAGERING_PAGE_ID_BITS                             16
#define PAGERING_CHUNKS_PER_PAGE_MAX                      64
#define PAGERING_CONSUMER_BITS                            17
#define PAGERING_COMPLETION_BYTES                         16
#define PAGERING_LINE_BYTES                               64
#define PAGERING_RING_LOG2_MIN                            6
#define PAGERING_RING_LOG2_MAX                            16
#define PAGERING_WINDOW_ADDRESS_BITS                      20
#define PAGERING_RETURN_WINDOW                            0x800u
#define PAGERING_RETURN_WINDOW_BYTES                      2048

/* CARD: Card-wide, privileged. */
#define PAGERING_CARD_BASE                                0x0u
#define PAGERING_CARD_ID                                  0x0u
#define PAGERING_CARD_ID_VALUE_SHIFT                      0
#define PAGERING_CARD_ID_VALUE_MASK                       0xffffffffu
#define PAGERING_CARD_VERSION                             0x4u
#define PAGERING_CARD_VERSION_MINOR_SHIFT                 0
#define PAGERING_CARD_VERSION_MINOR_MASK                  0xffffu
#define PAGERING_CARD_VERSION_MAJOR_SHIFT                 16
#define PAGERING_CARD_VERSION_MAJOR_MASK                  0xffff0000u
#define PAGERING_CARD_CAP_COUNTS                          0x8u
#define PAGERING_CARD_CAP_COUNTS_QUEUES_SHIFT             0
#define PAGERING_CARD_CAP_COUNTS_QUEUES_MASK              0xffu
#define PAGERING_CARD_CAP_COUNTS_POOLS_SHIFT              8
#define PAGERING_CARD_CAP_COUNTS_POOLS_MASK               0xff00u
#define PAGERING_CARD_CAP_COUNTS_REGIONS_SHIFT            16
#define PAGERING_CARD_CAP_COUNTS_REGIONS_MASK             0xffff0000u
#define PAGERING_CARD_CAP_SIZES                           0xcu
#define PAGERING_CARD_CAP_SIZES_PAGE_LOG2_SHIFT           0
#define PAGERING_CARD_CAP_SIZES_PAGE_LOG2_MASK            0xffu
#define PAGERING_CARD_CAP_SIZES_CHUNK_LOG2_SHIFT          8
#define PAGERING_CARD_CAP_SIZES_CHUNK_LOG2_MASK           0xff00u
#define PAGERING_CARD_CAP_SIZES_REGION_PAGES_LOG2_SHIFT   16
#define PAGERING_CARD_CAP_SIZES_REGION_PAGES_LOG2_MASK    0xff0000u
#define PAGERING_CARD_CAP_SIZES_BUS_LOG2_SHIFT            24
#define PAGERING_CARD_CAP_SIZES_BUS_LOG2_MASK             0xff000000u
#define PAGERING_CARD_CAP_LIMITS                          0x10u
#define PAGERING_CARD_CAP_LIMITS_FRAME_BYTES_SHIFT        0
#define PAGERING_CARD_CAP_LIMITS_FRAME_BYTES_MASK         0xffffu
#define PAGERING_CARD_CAP_LIMITS_BURST_BYTES_SHIFT        16
#define PAGERING_CARD_CAP_LIMITS_BURST_BYTES_MASK         0xffff0000u
#define PAGERING_CARD_SCRATCH                             0x14u
#define PAGERING_CARD_CONTROL                             0x18u
#define PAGERING_CARD_CONTROL_RECEIVE_SHIFT               0
#define PAGERING_CARD_CONTROL_RECEIVE_MASK                0x1u
#define PAGERING_CARD_CONTROL_DROP_WHEN_FULL_SHIFT        1
#define PAGERING_CARD_CONTROL_DROP_WHEN_FULL_MASK         0x2u
#define PAGERING_CARD_RESET                               0x1cu
#define PAGERING_CARD_RESET_RESET_SHIFT                   0
#define PAGERING_CARD_RESET_RESET_MASK                    0x1u
#define PAGERING_CARD_STATUS                              0x20u
#define PAGERING_CARD_STATUS_RESETTING_SHIFT              0
#define PAGERING_CARD_STATUS_RESETTING_MASK               0x1u
#define PAGERING_CARD_STATUS_IDLE_SHIFT                   1
#define PAGERING_CARD_STATUS_IDLE_MASK                    0x2u
#define PAGERING_CARD_STEERING                            0x24u
#define PAGERING_CARD_STEERING_MODE_SHIFT                 0
#define PAGERING_CARD_STEERING_MODE_MASK                  0x3u
#define PAGERING_CARD_STEERING_QUEUE_SHIFT                8
#define PAGERING_CARD_STEERING_QUEUE_MASK                 0x3f00u
#define PAGERING_CARD_STEERING_LAST_SHIFT                 16
#define PAGERING_CARD_STEERING_LAST_MASK                  0x3f0000u
#define PAGERING_CARD_FRAME_LIMITS                        0x28u
#define PAGERING_CARD_FRAME_LIMITS_MINIMUM_SHIFT          0
#define PAGERING_CARD_FRAME_LIMITS_MINIMUM_MASK           0xffffu
#define PAGERING_CARD_FRAME_LIMITS_MAXIMUM_SHIFT          16
#define PAGERING_CARD_FRAME_LIMITS_MAXIMUM_MASK           0xffff0000u
#define PAGERING_CARD_FLUSH_TIMER                         0x2cu
#define PAGERING_CARD_FLUSH_TIMER_CYCLES_SHIFT            0
#define PAGERING_CARD_FLUSH_TIMER_CYCLES_MASK             0xffffu
#define PAGERING_CARD_EVENTS                              0x30u
#define PAGERING_CARD_EVENTS_LOW_WATER_SHIFT              0
#define PAGERING_CARD_EVENTS_LOW_WATER_MASK               0x1u
#define PAGERING_CARD_EVENTS_FAULT_SHIFT                  1
#define PAGERING_CARD_EVENTS_FAULT_MASK                   0x2u
#define PAGERING_CARD_EVENTS_WRITE_ERROR_SHIFT            2
#define PAGERING_CARD_EVENTS_WRITE_ERROR_MASK             0x4u
#define PAGERING_CARD_EVENT_ENABLE                        0x34u
#define PAGERING_CARD_EVENT_ENABLE_LOW_WATER_SHIFT        0
#define PAGERING_CARD_EVENT_ENABLE_LOW_WATER_MASK         0x1u
#define PAGERING_CARD_EVENT_ENABLE_FAULT_SHIFT            1
#define PAGERING_CARD_EVENT_ENABLE_FAULT_MASK             0x2u
#define PAGERING_CARD_EVENT_ENABLE_WRITE_ERROR_SHIFT      2
#define PAGERING_CARD_EVENT_ENABLE_WRITE_ERROR_MASK       0x4u
#define PAGERING_CARD_LOW_WATER_0                         0x38u
#define PAGERING_CARD_LOW_WATER_1                         0x3cu
#define PAGERING_CARD_REGION_HIGH                         0x40u
#define PAGERING_CARD_CAP_CLOCK                           0x50u
#define PAGERING_CARD_CAP_CLOCK_KHZ_SHIFT                 0
#define PAGERING_CARD_CAP_CLOCK_KHZ_MASK                  0xffffffffu
#define PAGERING_CARD_CLOCK_VALUE_LOW                     0x54u
#define PAGERING_CARD_CLOCK_VALUE_HIGH                    0x58u
#define PAGERING_CARD_CLOCK_COMMAND                       0x5cu
#define PAGERING_CARD_CLOCK_COMMAND_COMMAND_SHIFT         0
#define PAGERING_CARD_CLOCK_COMMAND_COMMAND_MASK          0x3u
#define PAGERING_CARD_CLOCK_LOW                           0x60u
#define PAGERING_CARD_CLOCK_HIGH                          0x64u
#define PAGERING_CARD_CAP_FEATURES                        0x90u
#define PAGERING_CARD_CAP_FEATURES_HEADER_SPLIT_SHIFT     0
#define PAGERING_CARD_CAP_FEATURES_HEADER_SPLIT_MASK      0x1u
#define PAGERING_CARD_FRAMES_IN                           0x100u
#define PAGERING_CARD_FRAMES_DELIVERED                    0x104u
#define PAGERING_CARD_RETURNS                             0x108u
#define PAGERING_CARD_RECYCLED                            0x10cu
#define PAGERING_CARD_DROP_BAD_FRAME                      0x110u
#define PAGERING_CARD_DROP_RUNT                           0x114u
#define PAGERING_CARD_DROP_OVERSIZE                       0x118u
#define PAGERING_CARD_DROP_MALFORMED                      0x11cu
#define PAGERING_CARD_DROP_OVERFLOW                       0x120u
#define PAGERING_CARD_DROP_CARD_DISABLED                  0x124u
#define PAGERING_CARD_DROP_MAC_FILTER                     0x128u
#define PAGERING_CARD_DROP_VLAN_FILTER                    0x12cu
#define PAGERING_CARD_DROP_RULE                           0x130u
#define PAGERING_CARD_DROP_QUEUE_DISABLED                 0x134u
#define PAGERING_CARD_DROP_POOL_DISABLED                  0x138u
#define PAGERING_CARD_DROP_NO_PAGE                        0x13cu
#define PAGERING_CARD_DROP_POOL_LIMIT                     0x140u
#define PAGERING_CARD_DROP_QUEUE_QUOTA                    0x144u
#define PAGERING_CARD_DROP_RING_FULL                      0x148u
#define PAGERING_CARD_FAULT_RETURN_PAGE                   0x14cu
#define PAGERING_CARD_FAULT_RETURN_CHUNK                  0x150u
#define PAGERING_CARD_FAULT_RETURN_OWNER                  0x154u
#define PAGERING_CARD_FAULT_RETURN_GENERATION             0x158u
#define PAGERING_CARD_FAULT_RETURN_IDLE                   0x15cu
#define PAGERING_CARD_FAULT_REGION_ALIGNMENT              0x160u
#define PAGERING_CARD_FAULT_REGION_REFUSED                0x164u
#define PAGERING_CARD_FAULT_REGISTER_ACCESS               0x168u
#define PAGERING_CARD_FAULT_REGISTER_VALUE                0x16cu
#define PAGERING_CARD_FAULT_DATA_WRITE                    0x170u
#define PAGERING_CARD_FAULT_COMPLETION_WRITE              0x174u

/* REGION: Region table, privileged. Writing a slot registers one region: the card puts its pages on the ring of its pool by itself. */
#define PAGERING_REGION_BASE                              0x400u
#define PAGERING_REGION_STRIDE                            0x4u
#define PAGERING_REGION_AT(index) (PAGERING_REGION_BASE + (index) * PAGERING_REGION_STRIDE)
#define PAGERING_REGION_OFFSET                            0x0u
#define PAGERING_REGION_VALID_SHIFT                       0
#define PAGERING_REGION_VALID_MASK                        0x1u
#define PAGERING_REGION_LOADING_SHIFT                     1
#define PAGERING_REGION_LOADING_MASK                      0x2u
#define PAGERING_REGION_POOL_SHIFT                        6
#define PAGERING_REGION_POOL_MASK                         0xfc0u
#define PAGERING_REGION_ADDRESS_SHIFT                     12
#define PAGERING_REGION_ADDRESS_MASK                      0xfffff000u

/* POOL: A recycle ring and its regions, privileged. */
#define PAGERING_POOL_BASE                                0x1000u
#define PAGERING_POOL_STRIDE                              0x40u
#define PAGERING_POOL_AT(index) (PAGERING_POOL_BASE + (index) * PAGERING_POOL_STRIDE)
#define PAGERING_POOL_CONTROL                             0x0u
#define PAGERING_POOL_CONTROL_ENABLE_SHIFT                0
#define PAGERING_POOL_CONTROL_ENABLE_MASK                 0x1u
#define PAGERING_POOL_CONTROL_POLICY_SHIFT                1
#define PAGERING_POOL_CONTROL_POLICY_MASK                 0x2u
#define PAGERING_POOL_STATUS                              0x4u
#define PAGERING_POOL_STATUS_DRAINED_SHIFT                0
#define PAGERING_POOL_STATUS_DRAINED_MASK                 0x1u
#define PAGERING_POOL_STATUS_LOW_WATER_SHIFT              1
#define PAGERING_POOL_STATUS_LOW_WATER_MASK               0x2u
#define PAGERING_POOL_LIMIT                               0x8u
#define PAGERING_POOL_LIMIT_PAGES_SHIFT                   0
#define PAGERING_POOL_LIMIT_PAGES_MASK                    0x1ffffu
#define PAGERING_POOL_LOW_WATER                           0xcu
#define PAGERING_POOL_LOW_WATER_ENTER_SHIFT               0
#define PAGERING_POOL_LOW_WATER_ENTER_MASK                0xffffu
#define PAGERING_POOL_LOW_WATER_EXIT_SHIFT                16
#define PAGERING_POOL_LOW_WATER_EXIT_MASK                 0xffff0000u
#define PAGERING_POOL_RETIRE                              0x10u
#define PAGERING_POOL_RETIRE_RETIRE_SHIFT                 0
#define PAGERING_POOL_RETIRE_RETIRE_MASK                  0x1u
#define PAGERING_POOL_REGISTERED                          0x14u
#define PAGERING_POOL_REGISTERED_PAGES_SHIFT              0
#define PAGERING_POOL_REGISTERED_PAGES_MASK               0x1ffffu
#define PAGERING_POOL_FREE                                0x18u
#define PAGERING_POOL_FREE_PAGES_SHIFT                    0
#define PAGERING_POOL_FREE_PAGES_MASK                     0x1ffffu
#define PAGERING_POOL_OUTSTANDING                         0x1cu
#define PAGERING_POOL_OUTSTANDING_PAGES_SHIFT             0
#define PAGERING_POOL_OUTSTANDING_PAGES_MASK              0x1ffffu
#define PAGERING_POOL_PEAK                                0x20u
#define PAGERING_POOL_PEAK_PAGES_SHIFT                    0
#define PAGERING_POOL_PEAK_PAGES_MASK                     0x1ffffu

/* QUEUE: A receive queue, privileged. */
#define PAGERING_QUEUE_BASE                               0x2000u
#define PAGERING_QUEUE_STRIDE                             0x2000u
#define PAGERING_QUEUE_AT(index) (PAGERING_QUEUE_BASE + (index) * PAGERING_QUEUE_STRIDE)
#define PAGERING_QUEUE_CONTROL                            0x0u
#define PAGERING_QUEUE_CONTROL_ENABLE_SHIFT               0
#define PAGERING_QUEUE_CONTROL_ENABLE_MASK                0x1u
#define PAGERING_QUEUE_STATUS                             0x4u
#define PAGERING_QUEUE_STATUS_DRAINED_SHIFT               0
#define PAGERING_QUEUE_STATUS_DRAINED_MASK                0x1u
#define PAGERING_QUEUE_STATUS_ARMED_SHIFT                 1
#define PAGERING_QUEUE_STATUS_ARMED_MASK                  0x2u
#define PAGERING_QUEUE_STATUS_FIRED_SHIFT                 2
#define PAGERING_QUEUE_STATUS_FIRED_MASK                  0x4u
#define PAGERING_QUEUE_POOL                               0x8u
#define PAGERING_QUEUE_POOL_INDEX_SHIFT                   0
#define PAGERING_QUEUE_POOL_INDEX_MASK                    0x3fu
#define PAGERING_QUEUE_RING_LOW                           0xcu
#define PAGERING_QUEUE_RING_LOW_ADDRESS_SHIFT             12
#define PAGERING_QUEUE_RING_LOW_ADDRESS_MASK              0xfffff000u
#define PAGERING_QUEUE_RING_HIGH                          0x10u
#define PAGERING_QUEUE_RING_SIZE                          0x14u
#define PAGERING_QUEUE_RING_SIZE_LOG2_SHIFT               0
#define PAGERING_QUEUE_RING_SIZE_LOG2_MASK                0x1fu
#define PAGERING_QUEUE_QUOTA                              0x18u
#define PAGERING_QUEUE_QUOTA_PAGES_SHIFT                  0
#define PAGERING_QUEUE_QUOTA_PAGES_MASK                   0x1ffffu
#define PAGERING_QUEUE_HEADER_SPLIT                       0x30u
#define PAGERING_QUEUE_HEADER_SPLIT_ENABLE_SHIFT          0
#define PAGERING_QUEUE_HEADER_SPLIT_ENABLE_MASK           0x1u
#define PAGERING_QUEUE_HEADER_SPLIT_POOL_SHIFT            8
#define PAGERING_QUEUE_HEADER_SPLIT_POOL_MASK             0x3f00u
#define PAGERING_QUEUE_HEADER_SPLIT_THRESHOLD_SHIFT       16
#define PAGERING_QUEUE_HEADER_SPLIT_THRESHOLD_MASK        0xffff0000u
#define PAGERING_QUEUE_POLICY                             0x38u
#define PAGERING_QUEUE_POLICY_HOLD_SHIFT                  0
#define PAGERING_QUEUE_POLICY_HOLD_MASK                   0x1u
#define PAGERING_QUEUE_HELD                               0x1cu
#define PAGERING_QUEUE_HELD_PAGES_SHIFT                   0
#define PAGERING_QUEUE_HELD_PAGES_MASK                    0x1ffffu
#define PAGERING_QUEUE_PRODUCED                           0x20u
#define PAGERING_QUEUE_PRODUCED_INDEX_SHIFT               0
#define PAGERING_QUEUE_PRODUCED_INDEX_MASK                0x1ffffu
#define PAGERING_QUEUE_MODERATION                         0x24u
#define PAGERING_QUEUE_MODERATION_TIME_SHIFT              0
#define PAGERING_QUEUE_MODERATION_TIME_MASK               0xfffu
#define PAGERING_QUEUE_MODERATION_COMPLETIONS_SHIFT       12
#define PAGERING_QUEUE_MODERATION_COMPLETIONS_MASK        0xfff000u
#define PAGERING_QUEUE_FORMAT                             0x28u
#define PAGERING_QUEUE_FORMAT_EXTENDED_SHIFT              0
#define PAGERING_QUEUE_FORMAT_EXTENDED_MASK               0x1u
#define PAGERING_QUEUE_FORCE                              0x2cu
#define PAGERING_QUEUE_FORCE_FORCE_SHIFT                  0
#define PAGERING_QUEUE_FORCE_FORCE_MASK                   0x1u

/* USER: A receive queue, the part that an untrusted process may map. From RETURN_WINDOW to the end of the page every aligned 32-bit write is one returned token. */
#define PAGERING_USER_BASE                                0x3000u
#define PAGERING_USER_STRIDE                              0x2000u
#define PAGERING_USER_AT(index) (PAGERING_USER_BASE + (index) * PAGERING_USER_STRIDE)
#define PAGERING_USER_CONSUMED                            0x0u
#define PAGERING_USER_CONSUMED_INDEX_SHIFT                0
#define PAGERING_USER_CONSUMED_INDEX_MASK                 0x1ffffu
#define PAGERING_USER_ARM                                 0x4u
#define PAGERING_USER_ARM_INDEX_SHIFT                     0
#define PAGERING_USER_ARM_INDEX_MASK                      0x1ffffu
#define PAGERING_USER_DELIVERED                           0x8u
#define PAGERING_USER_DROPPED                             0xcu

/* TOKEN */
#define PAGERING_TOKEN_PAGE_SHIFT                         0
#define PAGERING_TOKEN_PAGE_MASK                          0xffffu
#define PAGERING_TOKEN_FIRST_SHIFT                        16
#define PAGERING_TOKEN_FIRST_MASK                         0x3f0000u
#define PAGERING_TOKEN_LAST_SHIFT                         22
#define PAGERING_TOKEN_LAST_MASK                          0xfc00000u
#define PAGERING_TOKEN_GENERATION_SHIFT                   28
#define PAGERING_TOKEN_GENERATION_MASK                    0xf0000000u

/* COMPLETION */
#define PAGERING_COMPLETION_TOKEN_WORD                    0
#define PAGERING_COMPLETION_TOKEN_SHIFT                   0
#define PAGERING_COMPLETION_TOKEN_MASK                    0xffffffffu
#define PAGERING_COMPLETION_HASH_WORD                     1
#define PAGERING_COMPLETION_HASH_SHIFT                    0
#define PAGERING_COMPLETION_HASH_MASK                     0xffffffffu
#define PAGERING_COMPLETION_LENGTH_WORD                   2
#define PAGERING_COMPLETION_LENGTH_SHIFT                  0
#define PAGERING_COMPLETION_LENGTH_MASK                   0xffffu
#define PAGERING_COMPLETION_CHECKSUM_WORD                 2
#define PAGERING_COMPLETION_CHECKSUM_SHIFT                16
#define PAGERING_COMPLETION_CHECKSUM_MASK                 0xffff0000u
#define PAGERING_COMPLETION_START_WORD                    3
#define PAGERING_COMPLETION_START_SHIFT                   0
#define PAGERING_COMPLETION_START_MASK                    0x1u
#define PAGERING_COMPLETION_END_WORD                      3
#define PAGERING_COMPLETION_END_SHIFT                     1
#define PAGERING_COMPLETION_END_MASK                      0x2u
#define PAGERING_COMPLETION_WRITE_ERROR_WORD              3
#define PAGERING_COMPLETION_WRITE_ERROR_SHIFT             2
#define PAGERING_COMPLETION_WRITE_ERROR_MASK              0x4u
#define PAGERING_COMPLETION_LAST_OF_PAGE_WORD             3
#define PAGERING_COMPLETION_LAST_OF_PAGE_SHIFT            3
#define PAGERING_COMPLETION_LAST_OF_PAGE_MASK             0x8u
#define PAGERING_COMPLETION_L3_WORD                       3
#define PAGERING_COMPLETION_L3_SHIFT                      4
#define PAGERING_COMPLETION_L3_MASK                       0x30u
#define PAGERING_COMPLETION_L4_WORD                       3
#define PAGERING_COMPLETION_L4_SHIFT                      6
#define PAGERING_COMPLETION_L4_MASK                       0x1c0u
#define PAGERING_COMPLETION_FRAGMENT_WORD                 3
#define PAGERING_COMPLETION_FRAGMENT_SHIFT                9
#define PAGERING_COMPLETION_FRAGMENT_MASK                 0x200u
#define PAGERING_COMPLETION_L3_CHECKED_WORD               3
#define PAGERING_COMPLETION_L3_CHECKED_SHIFT              10
#define PAGERING_COMPLETION_L3_CHECKED_MASK               0x400u
#define PAGERING_COMPLETION_L3_OK_WORD                    3
#define PAGERING_COMPLETION_L3_OK_SHIFT                   11
#define PAGERING_COMPLETION_L3_OK_MASK                    0x800u
#define PAGERING_COMPLETION_L4_CHECKED_WORD               3
#define PAGERING_COMPLETION_L4_CHECKED_SHIFT              12
#define PAGERING_COMPLETION_L4_CHECKED_MASK               0x1000u
#define PAGERING_COMPLETION_L4_OK_WORD                    3
#define PAGERING_COMPLETION_L4_OK_SHIFT                   13
#define PAGERING_COMPLETION_L4_OK_MASK                    0x2000u
#define PAGERING_COMPLETION_HASH_TYPE_WORD                3
#define PAGERING_COMPLETION_HASH_TYPE_SHIFT               14
#define PAGERING_COMPLETION_HASH_TYPE_MASK                0xc000u
#define PAGERING_COMPLETION_VLAN_WORD                     3
#define PAGERING_COMPLETION_VLAN_SHIFT                    16
#define PAGERING_COMPLETION_VLAN_MASK                     0x10000u
#define PAGERING_COMPLETION_SPLIT_WORD                    3
#define PAGERING_COMPLETION_SPLIT_SHIFT                   17
#define PAGERING_COMPLETION_SPLIT_MASK                    0x20000u
#define PAGERING_COMPLETION_HEADER_WORD                   3
#define PAGERING_COMPLETION_HEADER_SHIFT                  18
#define PAGERING_COMPLETION_HEADER_MASK                   0x3fc0000u
#define PAGERING_COMPLETION_PHASE_WORD                    3
#define PAGERING_COMPLETION_PHASE_SHIFT                   31
#define PAGERING_COMPLETION_PHASE_MASK                    0x80000000u

/* EXTENSION */
#define PAGERING_EXTENSION_TIME_LOW_WORD                  0
#define PAGERING_EXTENSION_TIME_LOW_SHIFT                 0
#define PAGERING_EXTENSION_TIME_LOW_MASK                  0xffffffffu
#define PAGERING_EXTENSION_TIME_HIGH_WORD                 1
#define PAGERING_EXTENSION_TIME_HIGH_SHIFT                0
#define PAGERING_EXTENSION_TIME_HIGH_MASK                 0xffffffffu
#define PAGERING_EXTENSION_HEADER_TOKEN_WORD              2
#define PAGERING_EXTENSION_HEADER_TOKEN_SHIFT             0
#define PAGERING_EXTENSION_HEADER_TOKEN_MASK              0xffffffffu
#define PAGERING_EXTENSION_TCI_WORD                       3
#define PAGERING_EXTENSION_TCI_SHIFT                      0
#define PAGERING_EXTENSION_TCI_MASK                       0xffffu
#define PAGERING_EXTENSION_MARK_WORD                      3
#define PAGERING_EXTENSION_MARK_SHIFT                     16
#define PAGERING_EXTENSION_MARK_MASK                      0xffff0000u

/* Steering mode: STEERING.mode */
#define PAGERING_STEERING_MODE_FIXED                      0
#define PAGERING_STEERING_MODE_ROUND_ROBIN                1

/* Policy: POOL.CONTROL.policy */
#define PAGERING_POLICY_FIFO                              0
#define PAGERING_POLICY_LIFO                              1

/* L3: COMPLETION.l3 */
#define PAGERING_L3_OTHER                                 0
#define PAGERING_L3_IPV4                                  1
#define PAGERING_L3_IPV6                                  2
#define PAGERING_L3_ARP                                   3

/* L4: COMPLETION.l4 */
#define PAGERING_L4_OTHER                                 0
#define PAGERING_L4_TCP                                   1
#define PAGERING_L4_UDP                                   2
#define PAGERING_L4_SCTP                                  3
#define PAGERING_L4_ICMP                                  4

/* Hash type: COMPLETION.hash_type */
#define PAGERING_HASH_TYPE_NONE                           0
#define PAGERING_HASH_TYPE_L3                             1
#define PAGERING_HASH_TYPE_L4                             2

/* Clock command: CLOCK_COMMAND.command */
#define PAGERING_CLOCK_COMMAND_CAPTURE                    0
#define PAGERING_CLOCK_COMMAND_SET                        1
#define PAGERING_CLOCK_COMMAND_ADJUST                     2
#define PAGERING_CLOCK_COMMAND_RATE                       3

/* Event: bits of EVENTS and EVENT_ENABLE */
#define PAGERING_EVENT_LOW_WATER                          0
#define PAGERING_EVENT_FAULT                              1
#define PAGERING_EVENT_WRITE_ERROR                        2

/* Drop cause: counters DROP_* */
#define PAGERING_DROP_CAUSE_BAD_FRAME                     0
#define PAGERING_DROP_CAUSE_RUNT                          1
#define PAGERING_DROP_CAUSE_OVERSIZE                      2
#define PAGERING_DROP_CAUSE_MALFORMED                     3
#define PAGERING_DROP_CAUSE_OVERFLOW                      4
#define PAGERING_DROP_CAUSE_CARD_DISABLED                 5
#define PAGERING_DROP_CAUSE_MAC_FILTER                    6
#define PAGERING_DROP_CAUSE_VLAN_FILTER                   7
#define PAGERING_DROP_CAUSE_RULE                          8
#define PAGERING_DROP_CAUSE_QUEUE_DISABLED                9
#define PAGERING_DROP_CAUSE_POOL_DISABLED                 10
#define PAGERING_DROP_CAUSE_NO_PAGE                       11
#define PAGERING_DROP_CAUSE_POOL_LIMIT                    12
#define PAGERING_DROP_CAUSE_QUEUE_QUOTA                   13
#define PAGERING_DROP_CAUSE_RING_FULL                     14

/* Fault: counters FAULT_* */
#define PAGERING_FAULT_RETURN_PAGE                        0
#define PAGERING_FAULT_RETURN_CHUNK                       1
#define PAGERING_FAULT_RETURN_OWNER                       2
#define PAGERING_FAULT_RETURN_GENERATION                  3
#define PAGERING_FAULT_RETURN_IDLE                        4
#define PAGERING_FAULT_REGION_ALIGNMENT                   5
#define PAGERING_FAULT_REGION_REFUSED                     6
#define PAGERING_FAULT_REGISTER_ACCESS                    7
#define PAGERING_FAULT_REGISTER_VALUE                     8
#define PAGERING_FAULT_DATA_WRITE                         9
#define PAGERING_FAULT_COMPLETION_WRITE                   10

#endif
